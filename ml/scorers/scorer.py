"""What every trained detector is, once it has been fitted: it scores features and shows what drove a score."""

from typing import Protocol, runtime_checkable

from ml.arrays import Floats


@runtime_checkable
class Scorer(Protocol):
    """A fitted detector. It is immutable, picklable, and stored by `ml.scorers.serialization`; features are finite numbers.

    A row's score does not depend on the rows around it, and the two ways to score agree to 1e-9.
    """

    def anomaly_score(self, features: Floats) -> Floats:
        """How strange each row is: (n, F) → (n,) in [0, 1], higher is stranger."""
        ...

    def anomaly_score_one(self, row: Floats) -> float:
        """The same for one row (F,), in microseconds, for callers that can't batch."""
        ...

    def contributions(self, features: Floats, typical: Floats) -> Floats:
        """What each feature adds to the score against a typical row: (n, F), (F,) → (n, F).

        They are Shapley values, in units in which the score is a monotone function of their sum: positive ones make the
        row stranger.
        """
        ...
