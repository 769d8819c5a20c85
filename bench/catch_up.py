"""Catch-up: how fast a topic that was filled before is worked off, by detect alone and by detect with publish."""

from bench.environment import Environment
from bench.inputs import Input
from bench.result import CatchUp, Drained
from bench.run import Run
from bench.stages import Say
from bench.systems import Scoreline

LIMIT_SECONDS = 300.0


def catch_up(
    environment: Environment, made: Input, count: int, warm_up_seconds: float, flags: tuple[str, ...], say: Say
) -> CatchUp:
    """Both over the same topic, one after the other."""
    filled = environment.settings("filled", made, {})
    say(f"writing {count:,} transactions to Kafka")
    environment.send(filled, made, 0, count)

    def drained(publish: bool) -> Drained:
        say(f"{count:,} transactions through {'detect and publish' if publish else 'detect alone'}")
        with Run(environment, Scoreline(flags), made, count, filled.transactions_topic, publish=publish) as run:
            return run.drained(warm_up_seconds, LIMIT_SECONDS)

    try:
        return CatchUp(made.customers, drained(publish=False), drained(publish=True))
    finally:
        environment.discard(filled)
