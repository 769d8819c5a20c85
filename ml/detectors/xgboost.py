"""XGBoost: trees that each correct the errors of those before them, learned from labels."""

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
from xgboost import Booster, XGBClassifier

from ml.arrays import Flags, Floats
from ml.detectors.calibration import LearnsFromLabels
from ml.scorers.probability import TreesProbability
from ml.scorers.tree_layout import LibraryTree, laid_out
from ml.scorers.trees import Trees

if TYPE_CHECKING:
    import optuna


@dataclass(frozen=True)
class XGBoost(LearnsFromLabels[TreesProbability]):
    """Frauds weigh `fraud_weight` times as much as honest rows; calibration gives the probabilities their true level."""

    name: ClassVar[str] = "xgboost"
    trees: int = 200
    depth: int = 5
    learning_rate: float = 0.08
    rows_per_leaf: float = 5.0
    rows_per_tree: float = 0.8
    features_per_tree: float = 0.7
    regularisation: float = 2.0
    fraud_weight: float = 5.0

    def learn(self, features: Floats, is_fraud: Flags, seed: int) -> TreesProbability:
        """The trees, not calibrated."""
        return TreesProbability(trees_of(self.booster(features, is_fraud, seed)), 1.0, 0.0)

    def booster(self, features: Floats, is_fraud: Flags, seed: int) -> Booster:
        """XGBoost's own model, fitted to (n, F) and (n,); its margin begins at 0."""
        classifier = XGBClassifier(
            n_estimators=self.trees,
            max_depth=self.depth,
            learning_rate=self.learning_rate,
            min_child_weight=self.rows_per_leaf,
            subsample=self.rows_per_tree,
            colsample_bytree=self.features_per_tree,
            reg_lambda=self.regularisation,
            scale_pos_weight=self.fraud_weight,
            tree_method="hist",
            base_score=0.5,
            n_jobs=1,  # sums over threads would depend on their number
            random_state=seed,
        )
        return classifier.fit(features.astype(np.float32), is_fraud).get_booster()

    def suggested(self, trial: "optuna.Trial") -> Self:
        """See `Detector.suggested`."""
        return replace(
            self,
            trees=trial.suggest_int("trees", 100, 400, step=50),
            depth=trial.suggest_int("depth", 3, 8),
            learning_rate=trial.suggest_float("learning_rate", 0.02, 0.2, log=True),
            rows_per_leaf=trial.suggest_float("rows_per_leaf", 1.0, 50.0, log=True),
            rows_per_tree=trial.suggest_float("rows_per_tree", 0.5, 1.0),
            features_per_tree=trial.suggest_float("features_per_tree", 0.4, 1.0),
            regularisation=trial.suggest_float("regularisation", 0.1, 20.0, log=True),
            fraud_weight=trial.suggest_float("fraud_weight", 1.0, 100.0, log=True),
        )


def trees_of(booster: Booster) -> Trees:
    """The trees of a fitted model; their sums, in float64, are its margin, which XGBoost adds up in float32."""
    model = json.loads(bytes(booster.save_raw("json")))["learner"]["gradient_booster"]["model"]
    return laid_out([_library_tree(tree) for tree in model["trees"]], booster.num_features())


def _library_tree(tree: dict[str, list[float]]) -> LibraryTree:
    conditions = np.array(tree["split_conditions"], np.float32)  # of a leaf: its value
    return LibraryTree(
        left=np.array(tree["left_children"], np.int64),
        right=np.array(tree["right_children"], np.int64),
        feature=np.array(tree["split_indices"], np.int64),
        threshold=np.nextafter(conditions, np.float32(-np.inf)),  # XGBoost goes left below the threshold, not at it
        value=conditions.astype(np.float64),
    )
