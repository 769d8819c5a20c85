"""Which fraud campaigns begin in a simulated hour, and against whom."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from generator.arrays import Array
from generator.drafts import ATM, CHIP, CONTACTLESS, HOUR_MS, drafts
from generator.population import Population
from generator.randomness import Purpose, generator
from generator.runs import Run
from generator.scenarios import SCENARIOS
from generator.scenarios.scenario import BUILD_UP, Scenario
from generator.traffic import usual_week
from generator.waves import wave_campaigns

_IN_AN_HOUR: Final = 1 << 20  # more campaigns of one scenario never begin in an hour


@dataclass(frozen=True)
class Pace:
    """How much fraud there is by an hour: `week` (169,) is what is expected before each hour of the week."""

    week: Array

    @classmethod
    def of(cls, population: Population, fraud_share: float) -> "Pace":
        """Fraud follows the usual traffic of the hours, so that its share is the same at night as in the afternoon."""
        return cls(np.concatenate([[0.0], np.cumsum(usual_week(population))]) * fraud_share / (1 - fraud_share))

    def before(self, hour: int) -> float:
        """Fraudulent transactions expected before this hour since the epoch."""
        weeks, hour_of_week = divmod(hour, len(self.week) - 1)
        return float(weeks * self.week[-1] + self.week[hour_of_week])


def fraud_campaigns(population: Population, run: Run) -> Callable[[int, Array | None, int], Array]:
    """A function from an hour since the epoch, its honest DRAFTs and `ago` to the DRAFTs of all campaigns that begin in it.

    With `ago`, only of those that may still go on so many hours later. Where that is more than SHORT_HOURS, no honest drafts
    are needed: victims of long campaigns are drawn from all customers, so that a stream that begins weeks later can draw
    them too without the traffic of these weeks. Campaigns that follow a purchase are short, and their victims have just paid.
    """
    pace = Pace.of(population, run.fraud_share)
    phases = generator(population.seed, Purpose.CAMPAIGNS).random(len(SCENARIOS))
    chosen = [s for s in SCENARIOS if not run.only or s.name in run.only]
    whole = sum(scenario.share for scenario in chosen)
    wave = wave_campaigns(population, run, pace.before)

    def begun(hour: int, honest: Array | None, ago: int) -> Iterator[Array]:
        before, after = pace.before(hour), pace.before(hour + 1)
        for number, scenario in enumerate(SCENARIOS):
            if scenario not in chosen or scenario.hours < ago:
                continue
            # A campaign begins whenever the expected number passes a whole one: spread evenly, so that short runs have
            # their share of fraud too.
            each = scenario.share / whole / (scenario.size * run.intensity)
            n = int(after * each + phases[number]) - int(before * each + phases[number])
            if n:
                rng = generator(population.seed, Purpose.CAMPAIGNS, 1 + hour * len(SCENARIOS) + number)
                made = _played(rng, population, run, scenario, (hour, n, honest))
                yield numbered(made, number, hour * _IN_AN_HOUR)
        yield wave(hour)

    def campaigns(hour: int, honest: Array | None, ago: int) -> Array:
        return np.concatenate([drafts(0), *begun(hour, honest, ago)])

    return campaigns


def numbered(made: Array, number: int, first_campaign: int) -> Array:
    """DRAFTs with the number of their scenario, and with campaigns that no other hour has."""
    made["scenario"] = np.where(made["scenario"] == BUILD_UP, BUILD_UP, number)
    made["campaign"] += first_campaign
    return made


def _played(
    rng: np.random.Generator, population: Population, run: Run, scenario: Scenario, when: tuple[int, int, Array | None]
) -> Array:
    """n campaigns that begin in an hour, given as (hour, n, the hour's honest DRAFTs)."""
    hour, n, honest = when
    if scenario.after_purchase and honest is not None:
        in_person = np.flatnonzero(np.isin(honest["channel"], (CHIP, CONTACTLESS, ATM)))
        purchases = honest[rng.choice(in_person, min(n, len(in_person)), replace=False)]
        victims, start = purchases["customer"].astype(np.int64), purchases["time"]
    else:
        start = hour * HOUR_MS + rng.integers(0, HOUR_MS, n)
        victims = rng.integers(0, population.honest, n)
    return scenario.play(rng, population, victims, start, run.style)
