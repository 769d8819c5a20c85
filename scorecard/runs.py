"""The simulated runs that a scorecard judges on: the same bank, in an ordinary, an attacked, a changing and a calm season."""

from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from generator.handbook.world import Handbook
from generator.history import Origin, write_history
from generator.population import Population
from generator.runs import RUNS, WAVE_MINUTES, Run, RunName, usual_share
from ml.dataset.profiling import ProfilePass
from ml.dataset.split import Split
from ml.evaluation.data import Data, outline, read
from ml.features import DAY, FEATURES, HOUR, MINUTE
from ml.features.currencies import default_rates
from ml.progress import Progress, silent
from scorecard.rules import raw_columns

END: Final = datetime(2026, 5, 4, tzinfo=UTC)
"""Where every run ends: fixed, because the same seed must give the same scorecard on any day."""

ATTACK_AFTER: Final = 5 * DAY + 14 * HOUR
DRIFT_AFTER: Final = 4 * DAY
"""Milliseconds from the beginning of the test part to the wave of the attack, and to the drift."""

WAVE: Final = round(WAVE_MINUTES * MINUTE)


@dataclass(frozen=True)
class Size:
    """How much is simulated: how many seeds, for each the customers and days of a run, and when the Handbook's world begins."""

    seeds: int
    customers: int
    days: int
    handbook: Handbook = field(default_factory=Handbook)


FULL: Final = Size(seeds=5, customers=4_000, days=42)
QUICK: Final = Size(seeds=1, customers=1_500, days=28, handbook=Handbook(first_day=date(2018, 6, 13)))
"""Of the Handbook's world, six weeks before its first day that is fitted to: then as many terminals are bad as ever."""


@dataclass(frozen=True)
class Season:
    """The runs of one seed.

    data: with the customers' own features. begins (ms): when the wave of the attack and the drift begin. raw: what rules look
    at in the standard run. profiled: the standard run with the profile features too.
    """

    data: dict[RunName, Data]
    begins: dict[RunName, int]
    raw: pa.Table
    profiled: Data


def season(folder: Path, population: Population, size: Size, progress: Progress = silent) -> Season:
    """Simulate and read every run of a population; the files stay in the folder.

    All are read with the split of the standard run, so that whatever was fitted to that can judge the others' test parts.
    """
    data: dict[RunName, Data] = {}
    begins: dict[RunName, int] = {}
    split: Split | None = None
    for name in RUNS:
        if split is not None and name in ("attack", "drift"):
            begins[name] = split.test_start + (ATTACK_AFTER if name == "attack" else DRIFT_AFTER)
        path = folder / f"{name}-{population.seed}"
        _simulate(path, population, size, (name, begins.get(name)), progress)
        seen = outline(path, progress=progress, rates=default_rates())
        if split is None:
            split = Split.from_span(int(seen.times[0]), int(seen.times[-1]), seen.label_delay_days)
        profiles = ProfilePass(seen.knowledge.labels) if name == "standard" else None
        data[name] = read(seen, split, population.seed, progress, profiles)
    profiled = data["standard"]
    data["standard"] = _without_profiles(profiled)
    return Season(data, begins, raw_columns(profiled), profiled)


def _without_profiles(data: Data) -> Data:
    fit, gap, test = (
        replace(part, features=np.ascontiguousarray(part.features[:, : len(FEATURES)]))
        for part in (data.fit, data.gap, data.test)
    )
    return replace(data, fit=fit, gap=gap, test=test, profiles=False)


def _simulate(
    folder: Path, population: Population, size: Size, run: tuple[RunName, int | None], progress: Progress
) -> None:
    name, begins = run
    since = None if begins is None else datetime.fromtimestamp(begins / 1000, UTC)
    plan = Run(name, usual_share(name), begins=since)
    origin = Origin(population.seed, len(population.customers.table), END, size.days, plan)
    stage = f"simulating {name}, seed {population.seed}"
    write_history(folder, origin, population, lambda _, share: progress(stage, share, 1.0))
    progress(stage, 1.0, 1.0)
