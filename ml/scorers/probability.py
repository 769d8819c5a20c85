"""Scores that are probabilities of fraud: calibrated log-odds, from trees or from a linear function of the features."""

import math
from dataclasses import dataclass, replace
from typing import Final, Self

import numpy as np

from ml.arrays import Floats
from ml.scorers.shapley import contributions
from ml.scorers.trees import Trees


def sigmoid(log_odds: Floats) -> Floats:
    """The probability of log-odds, without overflow."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * log_odds)), np.float64)


def sigmoid_one(log_odds: float) -> float:
    """The same of one number."""
    return 0.5 * (1.0 + math.tanh(0.5 * log_odds))


_LEAST: Final = 1e-12
"""Scores are kept this far from 0 and 1, where log-odds end."""


def log_odds(scores: Floats) -> Floats:
    """What `sigmoid` makes these scores of."""
    inside = np.clip(scores, _LEAST, 1 - _LEAST)
    return np.asarray(np.log(inside) - np.log1p(-inside), np.float64)


def log_odds_one(score: float) -> float:
    """The same of one number."""
    inside = min(max(score, _LEAST), 1 - _LEAST)
    return math.log(inside) - math.log1p(-inside)


def logarithmic(features: Floats) -> Floats:
    """sign(x) · log(1 + |x|): amounts and distances, which span decades, in a form that a linear function can use."""
    return np.asarray(np.copysign(np.log1p(np.abs(features)), features), np.float64)


def _refuse_unless_finite(*values: float) -> None:
    if not all(map(math.isfinite, values)):
        raise ValueError("a score's scale or bias is not finite")


@dataclass(frozen=True, eq=False)
class TreesProbability:
    """A probability of fraud whose log-odds are scale · (sum of the leaves) + bias."""

    trees: Trees
    scale: float
    bias: float

    def __post_init__(self) -> None:
        _refuse_unless_finite(self.scale, self.bias)

    def anomaly_score(self, features: Floats) -> Floats:
        """(n, F) → (n,) in [0, 1]."""
        return sigmoid(self.scale * self.trees.sums(features) + self.bias)

    def anomaly_score_one(self, row: Floats) -> float:
        """(F,) → the score of one row."""
        return sigmoid_one(self.scale * self.trees.sum_one(row) + self.bias)

    def contributions(self, features: Floats, typical: Floats) -> Floats:
        """Shapley values of the log-odds."""
        return self.scale * contributions(self.trees, features, typical)

    def calibrated(self, scale: float, bias: float) -> Self:
        """The one whose log-odds are scale · (these) + bias."""
        return replace(self, scale=scale * self.scale, bias=scale * self.bias + bias)


_DOUBT: Final = 0.01
"""Trees, of a forest's, that vote for fraud and honesty beside it, so that log-odds stay finite where all agree."""


@dataclass(frozen=True, eq=False)
class VotesProbability:
    """A probability of fraud whose log-odds are scale · (the log-odds of the trees' mean vote) + bias.

    A leaf is its tree's vote, the share of frauds among the rows that it was grown from.
    """

    trees: Trees
    scale: float
    bias: float

    def __post_init__(self) -> None:
        _refuse_unless_finite(self.scale, self.bias)
        if not ((self.trees.leaf >= 0) & (self.trees.leaf <= 1)).all():
            raise ValueError("a vote is not between 0 and 1")

    def anomaly_score(self, features: Floats) -> Floats:
        """(n, F) → (n,) in [0, 1]."""
        votes = (self.trees.sums(features) + _DOUBT) / (len(self.trees.leaf) + 2 * _DOUBT)
        return sigmoid(self.scale * log_odds(votes) + self.bias)

    def anomaly_score_one(self, row: Floats) -> float:
        """(F,) → the score of one row."""
        vote = (self.trees.sum_one(row) + _DOUBT) / (len(self.trees.leaf) + 2 * _DOUBT)
        return sigmoid_one(self.scale * log_odds_one(vote) + self.bias)

    def contributions(self, features: Floats, typical: Floats) -> Floats:
        """Shapley values of the mean vote."""
        return contributions(self.trees, features, typical) / len(self.trees.leaf)

    def calibrated(self, scale: float, bias: float) -> Self:
        """The one whose log-odds are scale · (these) + bias."""
        return replace(self, scale=scale * self.scale, bias=scale * self.bias + bias)


@dataclass(frozen=True, eq=False)
class LinearProbability:
    """A probability of fraud whose log-odds are weights · `logarithmic`(features) + bias; weights: (F,)."""

    weights: Floats
    bias: float

    def __post_init__(self) -> None:
        if self.weights.ndim != 1 or self.weights.dtype != np.float64:
            raise ValueError(f"there must be a weight a feature, but their shape is {self.weights.shape}")
        _refuse_unless_finite(*self.weights.tolist(), self.bias)

    def anomaly_score(self, features: Floats) -> Floats:
        """(n, F) → (n,) in [0, 1]."""
        # Not a product of matrices, whose rounding depends on how many rows there are.
        return sigmoid((logarithmic(features) * self.weights).sum(axis=1) + self.bias)

    def anomaly_score_one(self, row: Floats) -> float:
        """(F,) → the score of one row."""
        return sigmoid_one(float((logarithmic(row) * self.weights).sum()) + self.bias)

    def contributions(self, features: Floats, typical: Floats) -> Floats:
        """Shapley values of the log-odds, which for a linear function are its terms."""
        return (logarithmic(features) - logarithmic(typical)) * self.weights

    def calibrated(self, scale: float, bias: float) -> Self:
        """The one whose log-odds are scale · (these) + bias."""
        return replace(self, weights=scale * self.weights, bias=scale * self.bias + bias)
