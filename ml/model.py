"""A trained model: the anomaly score of a transaction's features, the threshold it is judged by, the reasons for it."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.ensemble import IsolationForest
from sklearn.pipeline import Pipeline

from ml.schema import Reason

TREES: Final = 100
ROWS_PER_TREE: Final = 256
"""The defaults of the paper: past 100 trees and 256 rows a tree the scores hardly change (Liu, Ting & Zhou 2008, section 5)."""

DEFAULT_BUDGET: Final = 0.005
"""The share of traffic that may become alerts."""

REASONS: Final = 3
USUAL_PERCENTILES: Final = (1.0, 99.0)

_FOREST: Final = "forest"

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Model:
    """One version of a model, ready to judge.

    pipeline: a fitted scikit-learn Pipeline that ends in an IsolationForest. threshold: scores above it are anomalies.
    features: names of the columns, in order. usual: (len(features), 2), the range that 98 % of the training rows lie in.
    budget: the share of traffic that the threshold was chosen to flag. version is 0 before the model is registered.
    """

    name: str
    version: int
    pipeline: Pipeline
    threshold: float
    features: tuple[str, ...]
    usual: Floats
    budget: float = DEFAULT_BUDGET

    def anomaly_score(self, features: Floats) -> Floats:
        """How strange each row is: s(x) = 2^(-E[h(x)] / c(ψ)), in (0, 1), higher is stranger.

        features: (n, len(self.features)), which the forest reads as float32; returns (n,). A row's score does not depend
        on the rows around it.
        The formula is equation 2 of F. T. Liu, K. M. Ting & Z.-H. Zhou, "Isolation Forest", ICDM 2008; scikit-learn's
        `score_samples` is its negative.
        """
        if len(features) == 0:
            return np.empty(0)
        table = pd.DataFrame(features, columns=list(self.features), copy=False)
        return np.asarray(-self.pipeline.score_samples(table), np.float64)

    def is_anomaly(self, anomaly_scores: Floats) -> npt.NDArray[np.bool_]:
        """Which scores are above the threshold; the threshold itself is normal, so that ties can't exceed the budget."""
        return anomaly_scores > self.threshold

    def reasons(self, features: Floats) -> list[list[Reason]]:
        """For each row of features (n, len(self.features)) the three that lie farthest outside their usual range.

        The distance to the nearer end of the range counts in widths of the range (see `_unit`), farthest first. Features
        inside their range are named only where all are inside; then they are the three nearest to an end.
        """
        unit = _unit(self.usual)
        low, high = self.usual[:, 0], self.usual[:, 1]
        distance = np.maximum(low - features, features - high) / unit
        farthest = np.argsort(-distance, axis=1, kind="stable")[:, :REASONS]
        return [
            [self._reason(row[k], k) for k in ranked if away[k] > 0 or away[ranked[0]] <= 0]
            for row, away, ranked in zip(features, distance, farthest, strict=True)
        ]

    def _reason(self, value: float, feature: int) -> Reason:
        low, high = self.usual[feature]
        return Reason(self.features[feature], float(value), float(low), float(high))


def _unit(usual: Floats) -> Floats:
    """What one unit of distance is, a feature: its range's width; where that is 0, the size of its value, at least 1."""
    width = usual[:, 1] - usual[:, 0]
    return np.where(width > 0, width, np.maximum(np.abs(usual[:, 0]), 1.0))


def in_words(reasons: Sequence[Reason]) -> str:
    """Reasons as a person reads them.

    >>> in_words([Reason("amount_z", 12.31, -1.2, 3.4), Reason("sum_24h", 21_500.0, 0.0, 310.0)])
    'amount_z 12.3 (usually -1.2 to 3.4); sum_24h 21,500 (usually 0 to 310)'
    """
    return "; ".join(
        f"{reason.feature} {_short(reason.value)} (usually {_short(reason.usual_low)} to {_short(reason.usual_high)})"
        for reason in reasons
    )


def _short(value: float) -> str:
    return f"{value:,.0f}" if 100 <= abs(value) < 1e9 else f"{value + 0.0:.3g}"


def fit(features: Floats, names: Sequence[str], seed: int) -> Pipeline:
    """An Isolation Forest fitted to features (n, len(names)); the same rows and seed give the same forest."""
    if len(features) < 2:
        raise ValueError(f"an Isolation Forest needs at least 2 rows to fit, but there are {len(features)}")
    forest = IsolationForest(n_estimators=TREES, max_samples=min(ROWS_PER_TREE, len(features)), random_state=seed)
    return Pipeline([(_FOREST, forest)]).fit(pd.DataFrame(features, columns=list(names), copy=False))


def forest_of(pipeline: Pipeline) -> IsolationForest:
    """The Isolation Forest in a pipeline that `fit` returned."""
    return pipeline.named_steps[_FOREST]


def with_threshold(pipeline: Pipeline, threshold: float) -> Pipeline:
    """A copy whose own `predict` gives -1 for exactly the scores above `threshold`, wherever scikit-learn serves it."""
    judging = copy.deepcopy(pipeline)
    forest_of(judging).offset_ = -threshold
    return judging


def usual_ranges(features: Floats) -> Floats:
    """The 1st and 99th percentile of each column: (n, F) → (F, 2)."""
    return np.ascontiguousarray(np.percentile(features, USUAL_PERCENTILES, axis=0).T)


def threshold_for_budget(anomaly_scores: Floats, budget: float) -> float:
    """The lowest of the scores (n,) that at most a share `budget` of them lies above.

    It is an order statistic and not an interpolated quantile, and scores equal to it are normal: so ties, however many,
    leave the budget unspent and never exceed it.
    """
    if not 0 < budget < 1:
        raise ValueError(
            f"the alert budget is a share of the traffic between 0 and 1, but it is {budget:g}; 0.005 is 0.5 %"
        )
    scores = np.asarray(anomaly_scores, np.float64)
    if len(scores) == 0 or not np.isfinite(scores).all():
        raise ValueError(
            f"a threshold needs finite scores, but of {len(scores)} only {np.isfinite(scores).sum()} are finite"
        )
    place = len(scores) - 1 - int(budget * len(scores))
    return float(np.partition(scores, place)[place])
