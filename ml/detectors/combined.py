"""The combination: an unsupervised score and scores learned from labels, weighed by logistic regression on later rows."""

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from ml.arrays import Flags, Floats
from ml.detectors.calibration import Calibration, platt, split
from ml.detectors.isolation_forest import IsolationForest
from ml.detectors.random_forest import RandomForest
from ml.detectors.xgboost import XGBoost
from ml.scorers.combined import CombinedProbability
from ml.scorers.probability import log_odds
from ml.scorers.scorer import Scorer

if TYPE_CHECKING:
    import optuna


@dataclass(frozen=True)
class Combined:
    """Stacking (D. H. Wolpert, "Stacked generalization", 1992): the members' log-odds are the inputs of a last model.

    The weights come from the later rows, where the members had only seen the earlier ones; then the members are fitted to
    all. The forest is small: it adds little, and its deep trees would cost most of the time that reasons take.
    """

    name: ClassVar[str] = "combined"
    needs_labels: ClassVar[bool] = True
    unsupervised: IsolationForest = field(default_factory=IsolationForest)
    boosted: XGBoost = field(default_factory=XGBoost)
    bagged: RandomForest = field(default_factory=lambda: RandomForest(trees=30))

    def fit(self, features: Floats, is_fraud: Flags, seed: int) -> CombinedProbability:
        """See `Detector.fit`."""
        return self.learn_calibrated(features, is_fraud, self.calibration(features, is_fraud, seed), seed)

    def calibration(self, features: Floats, is_fraud: Flags, seed: int) -> Calibration:
        """The members' weights, and the bias. Raises `TooFewRows`."""
        early, later = split(is_fraud)
        learned = self._learn(features[early], is_fraud[early], seed)
        outputs = np.column_stack([log_odds(scorer.anomaly_score(features[later])) for scorer in learned])
        return platt(outputs, is_fraud[later])

    def learn_calibrated(
        self, features: Floats, is_fraud: Flags, calibration: Calibration, seed: int
    ) -> CombinedProbability:
        """What all rows teach the members, with weights and bias that these or other rows gave."""
        return CombinedProbability(self._learn(features, is_fraud, seed), *calibration)

    def _learn(self, features: Floats, is_fraud: Flags, seed: int) -> tuple[Scorer, ...]:
        return (
            self.unsupervised.fit(features, is_fraud, seed),
            self.boosted.learn(features, is_fraud, seed),
            self.bagged.learn(features, is_fraud, seed),
        )

    def suggested(self, trial: "optuna.Trial") -> Self:
        """See `Detector.suggested`; it searches the member that counts most."""
        return replace(self, boosted=self.boosted.suggested(trial))
