"""The score of several detectors together."""

import math
from dataclasses import dataclass

import numpy as np

from ml.arrays import Floats
from ml.scorers.probability import log_odds, log_odds_one, sigmoid, sigmoid_one
from ml.scorers.scorer import Scorer

_NOTHING = 1e-12


@dataclass(frozen=True, eq=False)
class CombinedProbability:
    """A probability of fraud whose log-odds are weights · (the members' log-odds) + bias; weights: (len(members),)."""

    members: tuple[Scorer, ...]
    weights: Floats
    bias: float

    def __post_init__(self) -> None:
        if self.weights.shape != (len(self.members),) or not self.members:
            raise ValueError(f"{len(self.members)} members need a weight each, but their shape is {self.weights.shape}")
        if not (np.isfinite(self.weights).all() and math.isfinite(self.bias)):
            raise ValueError("a score's weights or bias are not finite")

    def anomaly_score(self, features: Floats) -> Floats:
        """(n, F) → (n,) in [0, 1]."""
        total = np.full(len(features), self.bias)
        for member, weight in zip(self.members, self.weights, strict=True):
            total += weight * log_odds(member.anomaly_score(features))
        return sigmoid(total)

    def anomaly_score_one(self, row: Floats) -> float:
        """(F,) → the score of one row."""
        total = self.bias
        for member, weight in zip(self.members, self.weights.tolist(), strict=True):
            total += weight * log_odds_one(member.anomaly_score_one(row))
        return sigmoid_one(total)

    def contributions(self, features: Floats, typical: Floats) -> Floats:
        """Each member's Shapley values, scaled to what the member adds to the log-odds.

        Where a member's log-odds are a sum over its trees these are their Shapley values; where they are a function of
        that sum, they are in proportion to the sum's.
        """
        total = np.zeros(features.shape)
        for member, weight in zip(self.members, self.weights, strict=True):
            own = member.contributions(features, typical)
            added = log_odds(member.anomaly_score(features)) - log_odds(member.anomaly_score(typical[None]))
            whole = own.sum(axis=1)
            scale = np.divide(added, whole, out=np.zeros(len(own)), where=np.abs(whole) > _NOTHING)
            total += weight * scale[:, None] * own
        return total
