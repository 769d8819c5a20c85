"""The detectors, one a file, by the names that `--detector` takes."""

from collections.abc import Mapping
from typing import Final

from ml.detectors.combined import Combined
from ml.detectors.detector import Detector, TooFewRows
from ml.detectors.isolation_forest import IsolationForest
from ml.detectors.logistic_regression import LogisticRegression
from ml.detectors.random_forest import RandomForest
from ml.detectors.xgboost import XGBoost
from ml.scorers.scorer import Scorer

__all__ = ["DEFAULT", "DETECTORS", "Detector", "Scorer", "TooFewRows"]

_ALL: Final[tuple[Detector, ...]] = (
    IsolationForest(),
    LogisticRegression(),
    RandomForest(),
    XGBoost(),
    Combined(),
)

DETECTORS: Final[Mapping[str, Detector]] = {detector.name: detector for detector in _ALL}
DEFAULT: Final = IsolationForest.name
