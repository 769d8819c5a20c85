"""Fits a detector to recent rows too, of which most labels are still to come, and scores these as if it had not seen them."""

from typing import Any, Final, NamedTuple

import numpy as np

from ml.arrays import Flags, Floats
from ml.detectors.calibration import LearnsFromLabels, platt
from ml.detectors.combined import Combined
from ml.detectors.detector import Detector
from ml.detectors.unlabelled import look_alikes
from ml.scorers.probability import log_odds, sigmoid
from ml.scorers.scorer import Scorer
from ml.thresholds.decline import known_share

PARTS: Final = 2
"""So many parts, one after another in time, the recent rows are scored in, each by what was learned from all before it."""


class Rows(NamedTuple):
    """Features (n, F) and what was known of them (n,) at the time of training, in time order."""

    features: Floats
    is_fraud: Flags


class WithRecent(NamedTuple):
    """What was learned; held_out: (n,) how the recent rows score, by what was learned from rows before them; left_out: how many
    recent rows were not learned from because they look like fraud, None where nothing recent was learned from."""

    scorer: Scorer
    held_out: Floats
    left_out: int | None


def fit_with_recent(detector: Detector, older: Rows, recent: Rows, seed: int) -> WithRecent:
    """Fit a detector to older rows and to the recent ones whose label may be believed.

    Of recent frauds most have no label yet, so a detector that takes unlabelled rows for honest would learn that frauds like
    those of last week are honest. So rows that look like fraud to what the older ones taught are left out
    (`ml.detectors.unlabelled`). Where it can't be seen which share of the recent frauds is known, or the detector learns from
    no label, it is fitted to the older rows alone. Scores keep the calibration that the older rows gave. Raises `TooFewRows`.
    """
    if not isinstance(detector, LearnsFromLabels | Combined):
        scorer = detector.fit(*older, seed)
        return WithRecent(scorer, np.asarray(scorer.anomaly_score(recent.features), np.float64), None)
    calibration = detector.calibration(*older, seed)
    first: Scorer = detector.learn_calibrated(*older, calibration, seed)
    scores = np.asarray(first.anomaly_score(recent.features), np.float64)
    if known_share(scores, recent.is_fraud) is None:
        return WithRecent(first, scores, None)
    kept = ~look_alikes(_probability(scores, recent.is_fraud), recent.is_fraud)

    def learned(rows: Flags) -> Scorer:
        together = _joined(older, Rows(recent.features[rows], recent.is_fraud[rows]))
        scorer: Scorer = detector.learn_calibrated(*together, calibration, seed)
        return scorer

    held_out, everything = scores.copy(), np.arange(len(scores))
    for part in np.array_split(everything, PARTS)[1:]:
        held_out[part] = learned(kept & (everything < part[0])).anomaly_score(recent.features[part])
    return WithRecent(learned(kept), held_out, int((~kept).sum()))


def _probability(scores: Floats, is_fraud: Flags) -> Floats:
    """(n,) of scores (n,), that a row is a known fraud."""
    outputs: Any = log_odds(scores)
    (scale,), bias = platt(outputs[:, None], is_fraud)
    return sigmoid(scale * outputs + bias)


def _joined(older: Rows, recent: Rows) -> Rows:
    return Rows(*(np.concatenate(both) for both in zip(older, recent, strict=True)))
