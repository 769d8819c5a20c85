"""The worlds that can be simulated: our own bank, and the one of the Fraud Detection Handbook."""

from collections.abc import Iterator
from datetime import datetime
from typing import Literal, get_args

from generator.handbook.stream import handbook_transactions
from generator.handbook.world import Handbook, HandbookWorld
from generator.labels import Reporting
from generator.population import Population, make_population
from generator.runs import Run
from generator.stream import Batch, transactions

WorldName = Literal["standard", "handbook"]
WORLDS: tuple[WorldName, ...] = get_args(WorldName)
World = Population | HandbookWorld


def make_world(seed: int, customers: int, handbook: Handbook | None = None) -> World:
    """The world of one seed: the Handbook's where its parameters are given, else our own bank of so many customers."""
    return make_population(seed, customers) if handbook is None else HandbookWorld.make(seed, handbook)


def batches(world: World, start: datetime, run: Run, reporting: Reporting) -> Iterator[Batch]:
    """All that happens in a world from `start` on, hour by hour, without end; in the Handbook's world no other run happens.

    Raises ValueError if `start` has no time zone, or is before the world begins.
    """
    if isinstance(world, HandbookWorld):
        return handbook_transactions(world, start, reporting)
    return transactions(world, start, run, reporting)
