"""The thresholds that a model's tables choose from, and the bins between them in which its scores are counted."""

from functools import cached_property
from typing import Final, Self

import msgspec
import numpy as np

from ml.arrays import Floats, Ints
from ml.scorers.probability import log_odds, sigmoid
from ml.thresholds.budget import threshold_for_budget

STEPS: Final = 24
"""Thresholds below the model's own, and as many above: neighbours are some 6 % of the alerts apart."""

BINS: Final = 2 * STEPS + 2
OWN: Final = STEPS
"""The place of the model's own threshold in the grid."""

SPREAD: Final = 4.0
_LEAST_REACH: Final = 0.1  # log-odds
_MOST: Final = 0.5


class Grid(msgspec.Struct, frozen=True, dict=True):
    """2 · STEPS + 1 thresholds, ascending, evenly spaced in log-odds below and above the model's own.

    They are the bounds too: no table goes below `floor`, which SPREAD times the budget's share of the training scores lies
    above, nor above `ceiling`, with that share divided by SPREAD.
    """

    floor: float
    own: float
    ceiling: float

    @classmethod
    def from_scores(cls, anomaly_scores: Floats, own: float, budget: float) -> Self:
        """The grid of a model, from the scores (n,) that gave it its own threshold."""
        floor = threshold_for_budget(anomaly_scores, min(SPREAD * budget, _MOST))
        ceiling = threshold_for_budget(anomaly_scores, budget / SPREAD)
        low, middle, high = log_odds(np.array([floor, own, ceiling])).tolist()
        low, high = sigmoid(np.array([min(low, middle - _LEAST_REACH), max(high, middle + _LEAST_REACH)])).tolist()
        return cls(low, own, high)

    @cached_property
    def thresholds(self) -> Floats:
        """(2 · STEPS + 1,)"""
        low, middle, high = log_odds(np.array([self.floor, self.own, self.ceiling]))
        below, above = np.linspace(low, middle, STEPS + 1), np.linspace(middle, high, STEPS + 1)
        grid = sigmoid(np.concatenate([below, above[1:]]))
        grid[[0, OWN, -1]] = self.floor, self.own, self.ceiling  # exactly: the way through log-odds rounds
        return np.maximum.accumulate(grid)  # ascending also where rounding leaves no room

    def bins(self, anomaly_scores: Floats) -> Ints:
        """(n,) how many of the thresholds each score (n,) is above: 0 … BINS - 1."""
        return np.searchsorted(self.thresholds, anomaly_scores, "left")

    def at(self, place: Floats) -> Floats:
        """The thresholds at places (n,) in 0 … 2 · STEPS, whole ones or between."""
        return np.interp(place, np.arange(2 * STEPS + 1), self.thresholds)


def above(counts: Ints) -> Ints:
    """How many of the counted scores are above each threshold: (…, BINS) → (…, 2 · STEPS + 1)."""
    return counts[..., ::-1].cumsum(-1)[..., -2::-1]
