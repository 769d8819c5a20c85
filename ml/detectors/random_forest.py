"""Random Forest: many deep trees, each grown on its own sample of the labelled rows."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Self

from sklearn.ensemble import RandomForestClassifier

from ml.arrays import Flags, Floats
from ml.detectors.calibration import LearnsFromLabels
from ml.scorers.probability import VotesProbability
from ml.scorers.tree_layout import trees_of_forest
from ml.scorers.trees import DEEPEST, Trees

if TYPE_CHECKING:
    import optuna


@dataclass(frozen=True)
class RandomForest(LearnsFromLabels[VotesProbability]):
    """Frauds weigh `fraud_weight` times as much as honest rows; calibration gives the probabilities their true level."""

    name: ClassVar[str] = "random_forest"
    trees: int = 100
    depth: int = 12
    rows_per_tree: float = 0.25
    rows_per_leaf: int = 2
    features_per_split: float = 0.3
    fraud_weight: float = 10.0

    def learn(self, features: Floats, is_fraud: Flags, seed: int) -> VotesProbability:
        """The trees, not calibrated."""
        return VotesProbability(trees_of(self.forest(features, is_fraud, seed)), 1.0, 0.0)

    def forest(self, features: Floats, is_fraud: Flags, seed: int) -> RandomForestClassifier:
        """scikit-learn's forest, fitted to (n, F) and (n,)."""
        return RandomForestClassifier(
            n_estimators=self.trees,
            max_depth=self.depth,
            min_samples_leaf=self.rows_per_leaf,
            max_features=self.features_per_split,
            max_samples=self.rows_per_tree,
            class_weight={False: 1.0, True: self.fraud_weight},
            n_jobs=-1,
            random_state=seed,
        ).fit(features, is_fraud)

    def suggested(self, trial: "optuna.Trial") -> Self:
        """See `Detector.suggested`."""
        return replace(
            self,
            depth=trial.suggest_int("depth", 6, DEEPEST),
            rows_per_leaf=trial.suggest_int("rows_per_leaf", 1, 50, log=True),
            features_per_split=trial.suggest_float("features_per_split", 0.1, 0.8),
            fraud_weight=trial.suggest_float("fraud_weight", 1.0, 100.0, log=True),
        )


def trees_of(forest: RandomForestClassifier) -> Trees:
    """The trees of a fitted forest of scikit-learn; their sums, divided by their number, are its `predict_proba`."""
    values = (estimator.tree_.value for estimator in forest.estimators_)
    return trees_of_forest(forest, [value[:, 0, 1] / value[:, 0].sum(axis=1) for value in values])
