"""A trial: one system works off a backlog that is there when it starts, and is then fed at a steady rate."""

from dataclasses import dataclass
from pathlib import Path

from bench.environment import Environment
from bench.errors import BenchError
from bench.inputs import Input
from bench.result import Paced, Trial
from bench.run import STARTERS, Run
from bench.stages import Say
from bench.stored import stored_state
from bench.systems import Scoreline, System


@dataclass(frozen=True)
class Plan:
    """backlog: transactions that are there at the start; limit_seconds: how long a slow system works on them, from its first
    output on. rate: transactions a second, for so many seconds after a warm-up; drain_seconds: what is waited for a system
    that falls behind.
    """

    backlog: int = 1_000_000
    backlog_warm_up_seconds: float = 10.0
    limit_seconds: float = 240.0
    rate: float = 1_000.0
    warm_up_seconds: float = 20.0
    seconds: float = 60.0
    drain_seconds: float = 60.0

    @property
    def transactions(self) -> int:
        """How many it takes of an input."""
        return self.backlog + STARTERS + round(self.rate * (self.warm_up_seconds + self.seconds))


def trial(environment: Environment, system: System, made: Input, plan: Plan, say: Say) -> Trial:
    """What could be measured; where the system fails, the reason and what was measured before."""
    found = Trial(system.name, made.customers)
    try:
        say(f"{system.name}: a backlog of {plan.backlog:,} transactions")
        with Run(environment, system, made, plan.backlog) as run:
            found.drained = run.drained(plan.backlog_warm_up_seconds, plan.limit_seconds)
            found.start_seconds = run.start_seconds
            if found.drained.complete:
                found.paced = _paced(run, system, plan, say)
            run.end()
            if isinstance(system, Scoreline):
                found.stored = stored_state(Path(run.settings.checkpoint), made)
        if found.paced is None:  # what it still had to do must not count as latency: it starts again
            with Run(environment, system, made) as run:
                run.await_ready()
                found.paced = _paced(run, system, plan, say)
    except BenchError as error:
        found.failed = str(error)
        say(f"{system.name} failed: {error}")
    return found


def _paced(run: Run, system: System, plan: Plan, say: Say) -> Paced:
    say(f"{system.name}: {plan.rate:,.0f} transactions a second for {plan.seconds:,.0f} s")
    return run.paced(plan.rate, plan.warm_up_seconds, plan.seconds, plan.drain_seconds)
