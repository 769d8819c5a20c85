"""Adaptive thresholds against the fixed one: what becomes of the alerts of every day, of a drift, and of an attack."""

from collections.abc import Mapping
from typing import Final

import msgspec
import numpy as np

from generator.runs import RunName
from ml.evaluation.adaptive import adaptive_alerts
from ml.evaluation.contest import Contestant
from ml.evaluation.judgement import Bench
from ml.features import DAY
from ml.metrics import Counts, Flags
from ml.model import Floats
from ml.thresholds.reference import Reference
from scorecard.runs import WAVE, Season

TOLERANCE: Final = 0.2
"""How far, as a share of the budget, a day's alerts may be from it."""


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


def compare(
    season: Season,
    benches: Mapping[RunName, Bench],
    contestant: Contestant,
    scores: Mapping[RunName, Floats],
    budget: float,
) -> Thresholds:
    """Judge a contestant by its scores (n,) of the test part of each run."""
    gap = season.data["standard"].gap
    reference = Reference.of(contestant.scores(gap), gap.segment, contestant.threshold, budget)
    runs: tuple[RunName, ...] = ("standard", "drift", "attack")
    fixed = {run: contestant.alerts(scores[run]) for run in runs}
    adaptive = {run: adaptive_alerts(reference, benches[run].test, scores[run]) for run in runs}
    days = [_days(benches["standard"], alerts["standard"], budget) for alerts in (fixed, adaptive)]
    drifted = benches["drift"].test.time >= season.begins["drift"]
    in_drift = benches["drift"].is_fraud[drifted]
    before, after = (Counts.of(in_drift, alerts["drift"][drifted]) for alerts in (fixed, adaptive))
    equal = Counts.of(in_drift, _of_equal_recall(scores["drift"][drifted], in_drift, int(after.caught)))
    attack = benches["attack"]
    wave = (attack.test.time >= season.begins["attack"]) & (attack.test.time < season.begins["attack"] + WAVE)
    wave &= attack.is_fraud
    caught = [Counts.of(attack.is_fraud[wave], alerts["attack"][wave]).recall.value for alerts in (fixed, adaptive)]
    return Thresholds(
        days_within_fixed=float((days[0] <= TOLERANCE).mean()),
        days_within=float((days[1] <= TOLERANCE).mean()),
        furthest_day_fixed=float(days[0].max()),
        furthest_day=float(days[1].max()),
        drift_alerts_fixed=before.alert_share.value,
        drift_alerts=after.alert_share.value,
        drift_recall_fixed=before.recall.value,
        drift_recall=after.recall.value,
        drift_false_fixed=equal.false_positive_rate.value,
        drift_false=after.false_positive_rate.value,
        wave_caught_fixed=caught[0],
        wave_caught=caught[1],
    )


def _days(bench: Bench, is_alert: Flags, budget: float) -> Floats:
    """(days,) how far each whole day's alerts are from its budget, as a share of it."""
    whole = np.bincount(bench.test.time // DAY - bench.test.time[0] // DAY)
    alerts = np.bincount(bench.test.time // DAY - bench.test.time[0] // DAY, is_alert)
    return np.asarray(np.abs(alerts / (budget * whole) - 1), np.float64)


def _of_equal_recall(scores: Floats, is_fraud: Flags, caught: int) -> Flags:
    """The alerts (n,) of the highest threshold for scores (n,) that catches as many frauds."""
    frauds = np.sort(scores[is_fraud])
    return scores >= frauds[len(frauds) - caught] if caught else np.zeros(len(scores), np.bool_)
