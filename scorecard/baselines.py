"""What a detector has to beat: chance, a regression on amount and hour alone, and the one-line rules of the scenarios."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from ml.arrays import Flags, Floats
from ml.detectors.detector import TooFewRows
from ml.features import FEATURES

_AMOUNT, _HOUR = FEATURES.index("log_amount"), FEATURES.index("hour_of_day")


@dataclass(frozen=True)
class Chance:
    """Random scores."""

    name: ClassVar[str] = "chance"

    def fit(self, features: Floats, is_fraud: Flags, seed: int) -> "ChanceScore":
        """See `ml.detectors.Detector.fit`; only the seed counts."""
        return ChanceScore(seed)


@dataclass(frozen=True)
class ChanceScore:
    """Random numbers, the same for the same seed and number of rows."""

    seed: int

    def anomaly_score(self, features: Floats) -> Floats:
        """(n, F) → (n,) in [0, 1)."""
        return np.random.default_rng((self.seed, len(features))).random(len(features))


@dataclass(frozen=True)
class AmountAndHour:
    """A logistic regression on raw amount and hour: if it were good, the traffic would be trivial."""

    name: ClassVar[str] = "amount_and_hour"

    def fit(self, features: Floats, is_fraud: Flags, seed: int) -> "AmountAndHourScore":
        """See `ml.detectors.Detector.fit`."""
        if is_fraud.all() or not is_fraud.any():
            raise TooFewRows("a regression needs known frauds and other rows to fit, but there are not both")
        regression = LogisticRegression(class_weight="balanced", max_iter=1000, random_state=seed)
        return AmountAndHourScore(make_pipeline(StandardScaler(), regression).fit(_raw(features), is_fraud))


@dataclass(frozen=True)
class AmountAndHourScore:
    """The fitted regression."""

    pipeline: Pipeline

    def anomaly_score(self, features: Floats) -> Floats:
        """(n, F) → (n,), the probability of fraud, if fraud were as common as honest payments."""
        return np.asarray(self.pipeline.predict_proba(_raw(features))[:, 1], np.float64)


def _raw(features: Floats) -> Floats:
    return np.column_stack([np.expm1(features[:, _AMOUNT]), features[:, _HOUR]])
