"""Fitting to recent rows of which most labels are still to come."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from ml.arrays import Flags, Floats
from ml.detectors.combined import Combined
from ml.detectors.detector import Detector, TooFewRows
from ml.detectors.isolation_forest import IsolationForest
from ml.detectors.logistic_regression import LogisticRegression
from ml.detectors.random_forest import RandomForest
from ml.detectors.recent import PARTS, Rows, fit_with_recent
from ml.detectors.xgboost import XGBoost
from ml.metrics import Ranking
from ml.scorers.probability import TreesProbability
from ml.thresholds.decline import LEAST

LEARNING = [
    LogisticRegression(),
    XGBoost(trees=30),
    Combined(IsolationForest(trees=10), XGBoost(trees=20), RandomForest(trees=10, depth=7)),
]
KNOWN = 0.3


def traffic(rows: int, seed: int, new_kind: float = 0.0) -> tuple[Floats, Flags]:
    """Rows (n, 4) and whether each is fraud: strange in the first column, or, of a new kind, in the first two."""
    random = np.random.default_rng(seed)
    is_fraud = random.random(rows) < 0.03
    new = is_fraud & (random.random(rows) < new_kind)
    features = random.normal(size=(rows, 4))
    features[is_fraud & ~new, 0] += 4.0
    features[new, :2] += 3.0
    return features, is_fraud


def known(is_fraud: Flags, share: float, seed: int) -> Flags:
    return is_fraud & (np.random.default_rng(seed).random(len(is_fraud)) < share)


OLDER = traffic(6_000, 1)
RECENT = traffic(8_000, 2, new_kind=0.5)
LABELS = known(RECENT[1], KNOWN, 3)


@pytest.mark.parametrize("detector", LEARNING, ids=lambda one: one.name)
def test_the_recent_rows_are_learned_from_without_those_that_look_like_fraud(detector: Detector) -> None:
    learned = fit_with_recent(detector, Rows(*OLDER), Rows(RECENT[0], LABELS), 1)
    assert learned.left_out is not None
    assert learned.left_out > 0.3 * (RECENT[1] & ~LABELS).sum()
    later, is_fraud = traffic(20_000, 4, new_kind=0.5)

    def ranks(scores: Floats) -> float:
        return Ranking.from_scores(is_fraud, scores).curve().average_precision.value or 0.0

    older_alone = detector.fit(*OLDER, 1).anomaly_score(later)
    assert ranks(learned.scorer.anomaly_score(later)) > ranks(older_alone)


@dataclass(frozen=True, eq=False)
class Remembering:
    """A score that refuses rows that it was fitted to."""

    trees: TreesProbability
    seen: Floats
    scored: list[int]

    def anomaly_score(self, features: Floats) -> Floats:
        assert not np.isin(features[:, -1], self.seen).any()
        self.scored.append(len(features))
        return self.trees.anomaly_score(features)

    def calibrated(self, scale: float, bias: float) -> "Remembering":
        return replace(self, trees=self.trees.calibrated(scale, bias))


def test_held_out_scores_are_of_what_was_not_fitted_to_these_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    scored: list[int] = []
    learn = XGBoost.learn

    def remember(self: XGBoost, features: Floats, is_fraud: Flags, seed: int) -> Remembering:
        return Remembering(learn(self, features, is_fraud, seed), features[:, -1], scored)

    monkeypatch.setattr(XGBoost, "learn", remember)
    learned = fit_with_recent(XGBoost(trees=20), Rows(*OLDER), Rows(RECENT[0], LABELS), 1)
    half = len(LABELS) // PARTS
    assert scored[-PARTS:] == [len(LABELS), *[half] * (PARTS - 1)]  # all by the older rows, then the later parts
    with pytest.raises(AssertionError):
        learned.scorer.anomaly_score(RECENT[0])  # which it has learned from


def test_held_out_scores_are_of_the_level_that_new_rows_get() -> None:
    learned = fit_with_recent(XGBoost(trees=40), Rows(*OLDER), Rows(RECENT[0], LABELS), 1)
    later, _ = traffic(40_000, 6, new_kind=0.5)
    threshold = np.quantile(learned.held_out, 0.97)
    assert 0.02 < (learned.scorer.anomaly_score(later) > threshold).mean() < 0.04


@pytest.mark.parametrize("detector", LEARNING, ids=lambda one: one.name)
def test_with_too_few_recent_labels_the_older_rows_alone_are_learned_from(detector: Detector) -> None:
    few = LABELS & (np.cumsum(LABELS) < LEAST)
    learned = fit_with_recent(detector, Rows(*OLDER), Rows(RECENT[0], few), 1)
    alone = detector.fit(*OLDER, 1)
    assert learned.left_out is None
    assert learned.held_out.tolist() == alone.anomaly_score(RECENT[0]).tolist()
    assert learned.scorer.anomaly_score(OLDER[0]).tolist() == alone.anomaly_score(OLDER[0]).tolist()


def test_a_forest_without_labels_is_fitted_to_the_older_rows() -> None:
    forest = IsolationForest(trees=20)
    learned = fit_with_recent(forest, Rows(*OLDER), Rows(RECENT[0], LABELS), 1)
    assert learned.left_out is None
    assert learned.held_out.tolist() == forest.fit(*OLDER, 1).anomaly_score(RECENT[0]).tolist()


def test_too_few_older_frauds_are_refused() -> None:
    nothing = np.zeros_like(OLDER[1])
    with pytest.raises(TooFewRows):
        fit_with_recent(XGBoost(trees=5), Rows(OLDER[0], nothing), Rows(RECENT[0], LABELS), 1)
