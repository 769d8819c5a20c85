"""What holds of every score, threshold and reason."""

import math
import pickle
import subprocess
import sys

import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ml.arrays import Floats
from ml.features import FEATURES
from ml.model import Model, usual_ranges
from ml.thresholds.budget import threshold_for_budget
from tests.ml.conftest import random_features

BUDGETS = st.floats(1e-4, 0.9999)
SCORES = st.lists(st.one_of(st.floats(0.01, 0.99), st.sampled_from([0.4, 0.5, 0.6])), min_size=1, max_size=300)


@settings(deadline=None, max_examples=30)
@given(cuts=st.lists(st.integers(0, 500), max_size=8), seed=st.integers(0, 2**32 - 1))
def test_a_score_does_not_depend_on_the_rows_around_it(model: Model, cuts: list[int], seed: int) -> None:
    features = random_features(500)
    whole = model.anomaly_score(features)
    order = np.random.default_rng(seed).permutation(500)
    pieces = [model.anomaly_score(piece) for piece in np.split(features[order], sorted(cuts))]
    assert np.concatenate(pieces).tolist() == whole[order].tolist()


@settings(deadline=None)
@given(arrays.arrays(np.float64, (3, len(FEATURES)), elements=st.floats(width=32, allow_nan=False)))
def test_any_features_whatever_have_a_score_and_reasons(model: Model, features: Floats) -> None:
    scores = model.anomaly_score(features)
    assert ((scores > 0) & (scores < 1)).all()
    assert [len(reasons) in (1, 2, 3) for reasons in model.reasons(features)] == [True] * 3


def test_a_stranger_row_scores_higher(model: Model) -> None:
    near, far = model.anomaly_score(np.stack([np.zeros(len(FEATURES)), np.full(len(FEATURES), 8.0)]))
    assert near < 0.5 < far


def test_no_rows_have_no_scores_and_no_reasons(model: Model) -> None:
    none = np.empty((0, len(FEATURES)))
    assert model.anomaly_score(none).tolist() == []
    assert model.reasons(none) == []


@given(scores=SCORES, budget=BUDGETS)
@example(scores=[0.5] * 1000, budget=0.005)
def test_no_more_alerts_than_the_budget_and_none_given_away(scores: list[float], budget: float) -> None:
    threshold = threshold_for_budget(np.array(scores), budget)
    assert sum(score > threshold for score in scores) <= budget * len(scores)
    lower = max((score for score in scores if score < threshold), default=-math.inf)
    assert sum(score > lower for score in scores) > budget * len(scores)


@pytest.mark.parametrize("budget", [0.0, 1.0, -0.1, 5.0, math.nan])
def test_a_budget_that_is_no_share_is_refused(budget: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        threshold_for_budget(np.array([0.5]), budget)


@pytest.mark.parametrize("scores", [[], [0.5, math.nan], [math.inf]])
def test_scores_that_are_missing_or_not_finite_give_no_threshold(scores: list[float]) -> None:
    with pytest.raises(ValueError, match="finite scores"):
        threshold_for_budget(np.array(scores), 0.005)


def test_the_score_at_the_threshold_is_normal_and_the_next_higher_one_is_not(model: Model) -> None:
    scores = np.array([model.threshold, np.nextafter(model.threshold, 1)])
    assert model.is_anomaly(scores).tolist() == [False, True]


def test_a_model_survives_pickling(model: Model, features: Floats) -> None:
    again: Model = pickle.loads(pickle.dumps(model))
    assert again.anomaly_score(features).tolist() == model.anomaly_score(features).tolist()
    assert (again.threshold, again.usual.tolist()) == (model.threshold, model.usual.tolist())


def test_usual_ranges_hold_98_percent_of_each_feature(features: Floats) -> None:
    low, middle, high = usual_ranges(features).T
    np.testing.assert_allclose((features < middle).mean(axis=0), 0.5, atol=0.001)
    inside = ((features >= low) & (features <= high)).mean(axis=0)
    np.testing.assert_allclose(inside, 0.98, atol=0.001)


def test_the_model_can_be_had_without_the_libraries_that_train_it() -> None:
    """Spark's Python workers import it, many times."""
    libraries = ("mlflow", "pyspark", "sklearn", "xgboost", "optuna", "pandas")
    heavy = f"import sys, ml.model, ml.scorers.warm_up; print([name for name in {libraries} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, check=True).stdout == "[]\n"
