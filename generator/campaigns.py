"""Which fraud campaigns begin in a simulated hour, and against whom."""

from collections.abc import Callable

import numpy as np

from generator.arrays import Array
from generator.drafts import ATM, CHIP, CONTACTLESS, HOUR_MS, drafts
from generator.population import Population
from generator.randomness import Purpose, generator
from generator.scenarios import SCENARIOS
from generator.traffic import usual_week

FRAUD_SHARE = 0.006


def fraud_campaigns(population: Population, fraud_share: float) -> Callable[[int, Array], Array]:
    """A function from an hour since the epoch and its honest DRAFTs to the DRAFTs of all campaigns that begin in it.

    Fraud follows the usual traffic of the hours of the week, so that `fraud_share` of all transactions are fraudulent
    at night as in the afternoon. Victims are drawn from all customers, or, for a scenario that follows a purchase, from
    those who just paid.
    """
    so_far = np.concatenate([[0.0], np.cumsum(usual_week(population))]) * fraud_share / (1 - fraud_share)
    phases = generator(population.seed, Purpose.CAMPAIGNS).random(len(SCENARIOS))

    def expected_before(hour: int) -> float:
        weeks, hour_of_week = divmod(hour, len(so_far) - 1)
        return float(weeks * so_far[-1] + so_far[hour_of_week])

    def campaigns(hour: int, honest: Array) -> Array:
        rng = generator(population.seed, Purpose.CAMPAIGNS, hour)
        before, after = expected_before(hour), expected_before(hour + 1)
        begun = [drafts(0)]
        for number, (scenario, phase) in enumerate(zip(SCENARIOS, phases, strict=True)):
            # A campaign begins whenever the expected number passes a whole one: spread evenly, so that short runs have
            # their share of fraud too.
            each = scenario.share / scenario.size
            n = int(after * each + phase) - int(before * each + phase)
            victims, start = _victims(rng, population, hour, honest if scenario.after_purchase else None, n)
            made = scenario.play(rng, population, victims, start)
            made["scenario"] = number
            begun.append(made)
        return np.concatenate(begun)

    return campaigns


def _victims(
    rng: np.random.Generator, population: Population, hour: int, honest: Array | None, n: int
) -> tuple[Array, Array]:
    """n customers, and when (n,) a campaign against each begins; given honest DRAFTs, at one of their purchases in person."""
    if honest is None:
        start = hour * HOUR_MS + rng.integers(0, HOUR_MS, n)
        return rng.integers(0, len(population.customers.table), n), start
    in_person = np.flatnonzero(np.isin(honest["channel"], (CHIP, CONTACTLESS, ATM)))
    purchases = honest[rng.choice(in_person, min(n, len(in_person)), replace=False)]
    return purchases["customer"], purchases["time"]
