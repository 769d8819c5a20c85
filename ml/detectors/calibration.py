"""What detectors that learn from labels share: how they are fitted, and calibrated on the later rows."""

from abc import ABC, abstractmethod
from typing import ClassVar, Final, Generic, Protocol, Self, TypeVar

import numpy as np
from sklearn.linear_model import LogisticRegression

from ml.arrays import Flags, Floats
from ml.detectors.detector import TooFewRows
from ml.scorers.probability import log_odds
from ml.scorers.scorer import Scorer

LEAST_FRAUDS: Final = 10
"""Known frauds that each part needs."""

CALIBRATION_SHARE: Final = 0.3


class Calibrable(Scorer, Protocol):
    """A score whose log-odds can be given another level."""

    def calibrated(self, scale: float, bias: float) -> Self:
        """The one whose log-odds are scale · (these) + bias."""
        ...


C = TypeVar("C", bound=Calibrable)

Calibration = tuple[Floats, float]
"""Weights (k,) and bias by which log-odds (n, k) become the log-odds of fraud; see `platt`."""


class LearnsFromLabels(ABC, Generic[C]):
    """A detector whose scores are probabilities of fraud, calibrated by labels that it was not fitted to."""

    needs_labels: ClassVar[bool] = True

    @abstractmethod
    def learn(self, features: Floats, is_fraud: Flags, seed: int) -> C:
        """What rows (n, F) and what is known of them (n,) teach, not calibrated."""

    def fit(self, features: Floats, is_fraud: Flags, seed: int) -> C:
        """See `ml.detectors.Detector.fit`."""
        return self.learn_calibrated(features, is_fraud, self.calibration(features, is_fraud, seed), seed)

    def calibration(self, features: Floats, is_fraud: Flags, seed: int) -> Calibration:
        """What the later rows say of the level of scores that the earlier ones taught. Raises `TooFewRows`.

        So it comes from rows that its model had not seen; what is learned after that may be learned from the most recent frauds
        too, as in scikit-learn's CalibratedClassifierCV(ensemble=False).
        """
        early, later = split(is_fraud)
        outputs = log_odds(self.learn(features[early], is_fraud[early], seed).anomaly_score(features[later]))
        return platt(outputs[:, None], is_fraud[later])

    def learn_calibrated(self, features: Floats, is_fraud: Flags, calibration: Calibration, seed: int) -> C:
        """What all rows teach, with a calibration of this detector's that these or other rows gave."""
        (scale,), bias = calibration
        return self.learn(features, is_fraud, seed).calibrated(float(scale), bias)


def split(is_fraud: Flags) -> tuple[slice, slice]:
    """The earlier rows, to fit to, and the later ones, to calibrate on: the last 30 % of the rows.

    is_fraud: (n,), rows in time order. Raises `TooFewRows` where one of the parts has too few frauds or no honest row.
    """
    cut = round((1 - CALIBRATION_SHARE) * len(is_fraud))
    parts = slice(0, cut), slice(cut, len(is_fraud))
    for part in parts:
        frauds = int(is_fraud[part].sum())
        if frauds < LEAST_FRAUDS or frauds == len(is_fraud[part]):
            raise TooFewRows(
                f"a detector that learns from labels needs at least {LEAST_FRAUDS} known frauds, and honest rows beside "
                f"them, in the first {1 - CALIBRATION_SHARE:.0%} of the rows and in the rest; of "
                f"{len(is_fraud[part]):,} rows there {frauds:,} are known frauds: take a longer history, or wait for "
                "labels"
            )
    return parts


def platt(outputs: Floats, is_fraud: Flags) -> Calibration:
    """Weights (k,) and bias by which outputs (n, k), such as log-odds, become the log-odds of fraud.

    With one output it is J. Platt's sigmoid ("Probabilistic outputs for support vector machines", 1999): strictly
    monotone, so that it keeps the ranking. Isotonic regression does not: its steps are ties, in which no threshold can
    meet an alert budget.
    """
    spread = np.maximum(outputs.std(axis=0), np.finfo(np.float64).tiny)
    fitted = LogisticRegression(C=1e6, max_iter=1000).fit(outputs / spread, is_fraud)
    return np.asarray(fitted.coef_[0] / spread, np.float64), float(fitted.intercept_[0])
