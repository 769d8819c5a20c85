"""A trial: one system is started, fed at a steady rate for its latency, then with a backlog for its throughput."""

from dataclasses import dataclass
from pathlib import Path

from bench.errors import BenchError
from bench.inputs import Input
from bench.result import Trial
from bench.run import STARTERS, Run
from bench.stages import Say
from bench.stored import stored_state
from bench.systems import Scoreline, System
from bench.world import World


@dataclass(frozen=True)
class Plan:
    """rate: transactions a second, for so many seconds after a warm-up; drain_seconds: what is waited for a system that has
    fallen behind. backlog: transactions that are then there at once; limit_seconds: how long a slow system works on them,
    from its first output on.
    """

    rate: float = 1_000.0
    warm_up_seconds: float = 20.0
    seconds: float = 60.0
    drain_seconds: float = 60.0
    backlog: int = 1_000_000
    backlog_warm_up_seconds: float = 5.0
    limit_seconds: float = 60.0

    @property
    def transactions(self) -> int:
        """How many it takes of an input."""
        return STARTERS + round(self.rate * (self.warm_up_seconds + self.seconds)) + self.backlog


def trial(world: World, system: System, made: Input, plan: Plan, say: Say) -> Trial:
    """What could be measured; where the system fails, the reason and what was measured before."""
    found = Trial(system.name, made.customers)
    try:
        say(f"{system.name} starts")
        with Run(world, system, made) as run:
            found.start_seconds = run.await_ready()
            say(f"{system.name}: {plan.rate:,.0f} transactions a second for {plan.seconds:,.0f} s")
            found.paced = run.paced(plan.rate, plan.warm_up_seconds, plan.seconds, plan.drain_seconds)
            say(f"{system.name}: a backlog of {plan.backlog:,} transactions")
            found.drained = run.backlog(plan.backlog, plan.backlog_warm_up_seconds, plan.limit_seconds)
            run.end()
            if isinstance(system, Scoreline):
                found.stored = stored_state(Path(run.settings.checkpoint), made)
    except BenchError as error:
        found.failed = str(error)
        say(f"{system.name} failed: {error}")
    return found
