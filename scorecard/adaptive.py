"""Adaptive thresholds against the fixed one: the alerts of every day, of a drift, and of an attack."""

from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec
import numpy as np

from generator.runs import RunName
from ml.arrays import Flags, Floats
from ml.evaluation.adaptive import adaptive_alerts
from ml.evaluation.contest import Contestant
from ml.evaluation.judgement import JudgedPart
from ml.features import DAY
from ml.metrics import Counts
from ml.thresholds.reference import Reference
from scorecard.runs import WAVE, Season

TOLERANCE: Final = 0.2
"""How far, as a share of the budget, a day's alerts may be from it."""

_BY_DAY: Final[tuple[RunName, ...]] = ("standard", "drift")


class Thresholds(msgspec.Struct, frozen=True):
    """One detector with the fixed threshold, and with adaptive ones that begin with it; shares.

    days_within: of the standard run's days, those whose alerts are within TOLERANCE of the budget. furthest_day: how far from
    it is the worst, as a share of the budget. The drift's are of the time since it began: alerts among all transactions,
    frauds that were alerted, honest transactions that were; drift_false_fixed is the fixed threshold's of equal recall.
    wave_caught: of the frauds in the attack's ten minutes.
    """

    days_within_fixed: float | None
    days_within: float | None
    furthest_day_fixed: float | None
    furthest_day: float | None
    drift_alerts_fixed: float | None
    drift_alerts: float | None
    drift_recall_fixed: float | None
    drift_recall: float | None
    drift_false_fixed: float | None
    drift_false: float | None
    wave_caught_fixed: float | None
    wave_caught: float | None


class Days(msgspec.Struct, frozen=True):
    """The alerts of each day of the test part of a run, as multiples of the budget. since: the day on which the drift began."""

    fixed: list[float]
    adaptive: list[float]
    since: float | None


class Compared(NamedTuple):
    """What `compare` finds: the figures, and day by day what became of the alerts, by run."""

    figures: Thresholds
    days: dict[RunName, Days]


def compare(
    season: Season,
    judged_parts: Mapping[RunName, JudgedPart],
    contestant: Contestant,
    scores: Mapping[RunName, Floats],
    budget: float,
) -> Compared:
    """Judge a contestant by its scores (n,) of the test part of each run."""
    gap = season.data["standard"].gap
    reference = Reference.from_scores(contestant.scores(gap), gap.segment, contestant.threshold, budget)
    runs: tuple[RunName, ...] = ("standard", "drift", "attack")
    fixed = {run: contestant.alerts(scores[run]) for run in runs}
    adaptive = {run: adaptive_alerts(reference, judged_parts[run].test, scores[run]) for run in runs}
    days = {
        run: _days(judged_parts[run], (fixed[run], adaptive[run]), budget, season.begins.get(run)) for run in _BY_DAY
    }
    off = [np.abs(np.array(of_each) - 1) for of_each in (days["standard"].fixed, days["standard"].adaptive)]
    drifted = judged_parts["drift"].test.time >= season.begins["drift"]
    in_drift = judged_parts["drift"].is_fraud[drifted]
    before, after = (Counts.from_flags(in_drift, alerts["drift"][drifted]) for alerts in (fixed, adaptive))
    equal = Counts.from_flags(in_drift, _of_equal_recall(scores["drift"][drifted], in_drift, int(after.caught)))
    attack = judged_parts["attack"]
    wave = (attack.test.time >= season.begins["attack"]) & (attack.test.time < season.begins["attack"] + WAVE)
    wave &= attack.is_fraud
    caught = [
        Counts.from_flags(attack.is_fraud[wave], alerts["attack"][wave]).recall.value for alerts in (fixed, adaptive)
    ]
    figures = Thresholds(
        days_within_fixed=float((off[0] <= TOLERANCE).mean()),
        days_within=float((off[1] <= TOLERANCE).mean()),
        furthest_day_fixed=float(off[0].max()),
        furthest_day=float(off[1].max()),
        drift_alerts_fixed=before.alert_share.value,
        drift_alerts=after.alert_share.value,
        drift_recall_fixed=before.recall.value,
        drift_recall=after.recall.value,
        drift_false_fixed=equal.false_positive_rate.value,
        drift_false=after.false_positive_rate.value,
        wave_caught_fixed=caught[0],
        wave_caught=caught[1],
    )
    return Compared(figures, days)


def _days(judged_part: JudgedPart, alerts: tuple[Flags, Flags], budget: float, begins: int | None) -> Days:
    first = judged_part.test.time[0] // DAY
    day = judged_part.test.time // DAY - first
    fixed, adaptive = (np.bincount(day, is_alert) / (budget * np.bincount(day)) for is_alert in alerts)
    return Days(fixed.tolist(), adaptive.tolist(), None if begins is None else begins / DAY - float(first))


def _of_equal_recall(scores: Floats, is_fraud: Flags, caught: int) -> Flags:
    """The alerts (n,) of the highest threshold for scores (n,) that catches as many frauds."""
    frauds = np.sort(scores[is_fraud])
    return scores >= frauds[len(frauds) - caught] if caught else np.zeros(len(scores), np.bool_)
