"""Logistic regression: one weight a feature, the simplest that can be learned from labels."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
from sklearn.linear_model import LogisticRegression as Regression
from sklearn.preprocessing import StandardScaler

from ml.arrays import Flags, Floats
from ml.detectors.calibration import LearnsFromLabels
from ml.scorers.probability import LinearProbability, logarithmic

if TYPE_CHECKING:
    import optuna


@dataclass(frozen=True)
class LogisticRegression(LearnsFromLabels[LinearProbability]):
    """Frauds weigh as much as all honest rows together; calibration then gives the probabilities their true level."""

    name: ClassVar[str] = "logistic_regression"
    inverse_regularisation: float = 1.0

    def learn(self, features: Floats, is_fraud: Flags, seed: int) -> LinearProbability:
        """The regression, not calibrated."""
        with np.errstate(invalid="ignore"):  # a constant column's variance may come out below 0; its scale is then 1
            scaler = StandardScaler().fit(logarithmic(features))
        regression = Regression(
            C=self.inverse_regularisation, class_weight="balanced", max_iter=1000, random_state=seed
        ).fit(scaler.transform(logarithmic(features)), is_fraud)
        weights = np.asarray(regression.coef_[0] / scaler.scale_, np.float64)
        return LinearProbability(weights, float(regression.intercept_[0] - weights @ scaler.mean_))

    def suggested(self, trial: "optuna.Trial") -> Self:
        """See `Detector.suggested`."""
        return replace(self, inverse_regularisation=trial.suggest_float("inverse_regularisation", 1e-4, 1e2, log=True))
