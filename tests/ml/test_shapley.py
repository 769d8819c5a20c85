"""Our Shapley values against those of the shap library, for each library whose trees we take over."""

import warnings

import numpy as np
from sklearn.ensemble import IsolationForest as Forest

from ml.arrays import Flags, Floats
from ml.detectors import isolation_forest, random_forest, xgboost
from ml.detectors.random_forest import RandomForest
from ml.detectors.xgboost import XGBoost
from ml.scorers.shapley import contributions

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # from its own plots, which nobody draws here
    import shap

COLUMNS, EXPLAINED = 6, 40


def made_up() -> tuple[Floats, Flags]:
    """Rows (2,000, COLUMNS) as float32 knows them, because shap compares in float64 what the trees compare in float32."""
    random = np.random.default_rng(8)
    features = random.normal(size=(2_000, COLUMNS)).astype(np.float32).astype(np.float64)
    return features, features[:, 0] * features[:, 1] + features[:, 2] > 2.5


def by_shap(model: object, rows: Floats, reference: Floats) -> Floats:
    """The values (n, F) of shap's interventional explainer against one reference row."""
    explainer = shap.TreeExplainer(model, reference[None], feature_perturbation="interventional", model_output="raw")
    return np.asarray(explainer.shap_values(rows, check_additivity=False), np.float64)


def test_a_random_forests_values_are_those_of_shap() -> None:
    features, is_fraud = made_up()
    forest = RandomForest(trees=15, depth=6).forest(features, is_fraud, seed=1)
    rows, reference = features[:EXPLAINED], np.median(features, axis=0).astype(np.float32).astype(np.float64)
    ours = contributions(random_forest.trees_of(forest), rows, reference) / len(forest.estimators_)
    np.testing.assert_allclose(ours, by_shap(forest, rows, reference)[..., 1], atol=1e-6)


def test_xgboosts_values_are_those_of_shap() -> None:
    features, is_fraud = made_up()
    booster = XGBoost(trees=30, depth=4).booster(features, is_fraud, seed=1)
    rows, reference = features[:EXPLAINED], np.median(features, axis=0).astype(np.float32).astype(np.float64)
    ours = contributions(xgboost.trees_of(booster), rows, reference)
    np.testing.assert_allclose(ours, by_shap(booster, rows, reference), atol=1e-5)


def test_an_isolation_forests_values_are_those_of_shap() -> None:
    features, _ = made_up()
    forest = Forest(n_estimators=15, max_samples=256, random_state=1).fit(features)
    rows, reference = features[:EXPLAINED], np.median(features, axis=0).astype(np.float32).astype(np.float64)
    scorer = isolation_forest.scorer_of(forest)
    ours = contributions(scorer.trees, rows, reference) / len(forest.estimators_)
    np.testing.assert_allclose(ours, by_shap(forest, rows, reference), atol=1e-6)
