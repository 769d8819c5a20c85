"""The score of an Isolation Forest."""

from dataclasses import dataclass

import numpy as np

from ml.arrays import Floats
from ml.scorers.shapley import contributions
from ml.scorers.trees import Trees


@dataclass(frozen=True, eq=False)
class IsolationScore:
    """s(x) = 2^(-E[h(x)] / c(ψ)): equation 2 of F. T. Liu, K. M. Ting & Z.-H. Zhou, "Isolation Forest", ICDM 2008.

    trees: a leaf is the path length h that ends in it. longest: c(ψ) times the number of trees. It equals scikit-learn's
    `-score_samples`.
    """

    trees: Trees
    longest: float

    def __post_init__(self) -> None:
        if not self.longest > 0:
            raise ValueError(f"the average path length of a forest is above 0, not {self.longest}")

    def anomaly_score(self, features: Floats) -> Floats:
        """(n, F) → (n,) in (0, 1)."""
        return np.asarray(2.0 ** -(self.trees.sums(features) / self.longest), np.float64)

    def anomaly_score_one(self, row: Floats) -> float:
        """(F,) → the score of one row."""
        return float(2.0 ** -(self.trees.sum_one(row) / self.longest))

    def contributions(self, features: Floats, typical: Floats) -> Floats:
        """Shapley values of the negative mean path length, in units of c(ψ)."""
        return -contributions(self.trees, features, typical) / self.longest
