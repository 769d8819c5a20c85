"""What stands beside the detectors: chance, a regression on amount and hour alone, and a forest that labels never touched."""

from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from ml.arrays import Flags, Floats
from ml.detectors.detector import TooFewRows
from ml.detectors.isolation_forest import IsolationForest
from ml.features import FEATURES
from ml.features.profile_schema import PROFILE_FEATURES
from ml.scorers.scorer import Scorer

_AMOUNT, _HOUR = FEATURES.index("log_amount"), FEATURES.index("hour_of_day")

_OF_LABELS = ("_risk_", "_frauds_")
_WITHOUT_LABELS: Final = [
    column for column, name in enumerate((*FEATURES, *PROFILE_FEATURES)) if not any(part in name for part in _OF_LABELS)
]
"""The columns that no label touches: the customer's own, and what is known of merchants and categories but their frauds."""


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


@dataclass(frozen=True)
class ForestWithoutLabels:
    """The Isolation Forest as it is where there is no label at all; with profiles' risks it would see what labels said."""

    name: ClassVar[str] = "isolation_forest_no_labels"

    def fit(self, features: Floats, is_fraud: Flags, seed: int) -> "ForestWithoutLabelsScore":
        """See `ml.detectors.Detector.fit`; features: (n, F) the customer's, then the profiles'. Raises `TooFewRows`."""
        nothing = np.zeros(len(features), np.bool_)
        return ForestWithoutLabelsScore(IsolationForest().fit(_unlabelled(features), nothing, seed))


@dataclass(frozen=True)
class ForestWithoutLabelsScore:
    """The fitted forest."""

    scorer: Scorer

    def anomaly_score(self, features: Floats) -> Floats:
        """(n, F) → (n,), higher is stranger."""
        return self.scorer.anomaly_score(_unlabelled(features))


def _unlabelled(features: Floats) -> Floats:
    return np.ascontiguousarray(features[:, _WITHOUT_LABELS])
