"""The wave of an attack: many quick campaigns at once, all within a few minutes."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import numpy as np

from generator.arrays import Array
from generator.drafts import HOUR_MS, WAVE, drafts
from generator.population import Population
from generator.randomness import Purpose, generator
from generator.runs import WAVE_MINUTES, WAVE_TIMES, Run
from generator.scenarios import SCENARIOS
from generator.scenarios.scenario import MINUTE_MS

_QUICK: Final = ("card_testing", "account_takeover")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def wave_campaigns(population: Population, run: Run, expected_before: Callable[[int], float]) -> Callable[[int], Array]:
    """A function from an hour to the DRAFTs of the wave, if it begins in this hour.

    In the wave's minutes there is WAVE_TIMES the fraud that is usual in them, as automated attacks on stolen cards and
    accounts; each campaign is hurried so that it ends with the wave. expected_before: fraud usual before an hour.
    """
    if run.scenario != "attack" or run.begins is None:
        return lambda hour: drafts(0)
    begins, lasts = round((run.begins - _EPOCH).total_seconds() * 1000), round(WAVE_MINUTES * MINUTE_MS)
    first = begins // HOUR_MS

    def wave(hour: int) -> Array:
        if hour != first:
            return drafts(0)
        usual = (expected_before(hour + 1) - expected_before(hour)) * lasts / HOUR_MS
        parts = [drafts(0)]
        for name in _QUICK:
            number = next(n for n, scenario in enumerate(SCENARIOS) if scenario.name == name)
            size = SCENARIOS[number].size * run.intensity
            n = max(1, round(usual * WAVE_TIMES / len(_QUICK) / size)) if run.fraud_share else 0
            rng = generator(population.seed, Purpose.WAVE, number)
            start = begins + rng.integers(0, lasts * 3 // 4, n)
            made = SCENARIOS[number].play(rng, population, rng.integers(0, population.honest, n), start, run.style)
            made["time"] = _hurried(made, start, begins + lasts)
            made["scenario"], made["campaign"] = number, made["campaign"] + WAVE
            parts.append(made)
        return np.concatenate(parts)

    return wave


def _hurried(made: Array, start: Array, end: int) -> Array:
    """Times (rows,) in each campaign's own proportions, between its start and the common end; slow ones are speeded up."""
    since = made["time"] - start[made["campaign"]]
    longest = np.zeros(len(start))
    np.maximum.at(longest, made["campaign"], since)
    room = end - 1 - start
    pace = np.minimum(1.0, room / np.maximum(longest, 1.0))
    times: Array = start[made["campaign"]] + (since * pace[made["campaign"]]).astype(np.int64)
    return times
