"""What holds of every score, threshold and reason."""

import math
import pickle
import subprocess
import sys
from dataclasses import replace

import hypothesis.extra.numpy as arrays
import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ml.features import FEATURES
from ml.model import Floats, Model, fit, forest_of, in_words, threshold_for_budget, usual_ranges, with_threshold
from ml.schema import Reason
from tests.ml.conftest import random_features

BUDGETS = st.floats(1e-4, 0.9999)
SCORES = st.lists(st.one_of(st.floats(0.01, 0.99), st.sampled_from([0.4, 0.5, 0.6])), min_size=1, max_size=300)


def test_scores_are_the_negative_of_scikit_learns(model: Model, features: Floats) -> None:
    expected = -model.pipeline.score_samples(pd.DataFrame(features, columns=list(FEATURES)))
    assert model.anomaly_score(features).tolist() == expected.tolist()


def test_scores_are_those_of_the_paper(model: Model, features: Floats) -> None:
    """s(x) = 2^(-E[h(x)] / c(ψ)), with the trees walked by hand."""

    def c(n: int) -> float:
        return 2 * (math.log(n - 1) + np.euler_gamma) - 2 * (n - 1) / n if n > 2 else float(n == 2)

    def path_length(tree, row: np.ndarray) -> float:  # type: ignore[no-untyped-def]
        node, length = 0, 0.0
        while tree.children_left[node] != -1:
            left = row[tree.feature[node]] <= tree.threshold[node]
            node, length = (tree.children_left if left else tree.children_right)[node], length + 1
        return length + c(int(tree.n_node_samples[node]))

    trees = [estimator.tree_ for estimator in forest_of(model.pipeline).estimators_]
    rows = np.concatenate([features[:5], 6 * features[5:10]]).astype(np.float32)
    expected = [2 ** -(np.mean([path_length(tree, row) for tree in trees]) / c(256)) for row in rows]
    np.testing.assert_allclose(model.anomaly_score(rows.astype(np.float64)), expected, rtol=1e-12)


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


def test_scikit_learns_own_prediction_judges_by_the_same_threshold(model: Model, features: Floats) -> None:
    served = with_threshold(model.pipeline, model.threshold).predict(pd.DataFrame(features, columns=list(FEATURES)))
    anomalies = model.is_anomaly(model.anomaly_score(features))
    assert 0 < anomalies.sum() <= 0.005 * len(features)
    assert (served == -1).tolist() == anomalies.tolist()


def test_the_same_seed_gives_the_same_forest_and_another_seed_another(features: Floats) -> None:
    first, again, other = (
        fit(features, FEATURES, seed).score_samples(pd.DataFrame(features[:50], columns=list(FEATURES)))
        for seed in (3, 3, 4)
    )
    assert first.tolist() == again.tolist() != other.tolist()


def test_a_model_survives_pickling(model: Model, features: Floats) -> None:
    again: Model = pickle.loads(pickle.dumps(model))
    assert again.anomaly_score(features).tolist() == model.anomaly_score(features).tolist()
    assert (again.threshold, again.usual.tolist()) == (model.threshold, model.usual.tolist())


def test_one_row_can_not_be_fitted() -> None:
    with pytest.raises(ValueError, match="at least 2 rows"):
        fit(np.zeros((1, 2)), ["a", "b"], seed=0)


def test_usual_ranges_hold_98_percent_of_each_feature(features: Floats) -> None:
    low, high = usual_ranges(features).T
    inside = ((features >= low) & (features <= high)).mean(axis=0)
    np.testing.assert_allclose(inside, 0.98, atol=0.001)


def with_usual(model: Model, *usual: tuple[float, float]) -> Model:
    return replace(model, features=tuple("abcdefgh"[: len(usual)]), usual=np.array(usual))


def named(model: Model, row: list[float]) -> list[str]:
    (reasons,) = model.reasons(np.array([row], np.float64))
    return [reason.feature for reason in reasons]


def test_reasons_are_the_three_farthest_outside_in_widths_of_the_usual_range(model: Model) -> None:
    judge = with_usual(model, (0, 1), (0, 100), (-1, 1), (5, 6))
    assert named(judge, [3.0, 150.0, -9.0, 6.5]) == [
        "c",
        "a",
        "b",
    ]  # 4, 2 and 0.5 widths; d has 0.5 too, and comes later


def test_features_inside_their_range_are_no_reasons_beside_one_outside(model: Model) -> None:
    assert named(with_usual(model, (0, 1), (0, 1), (0, 1), (0, 1)), [0.5, 2.0, 0.99, 1.0]) == ["b"]


def test_where_all_is_usual_the_three_nearest_to_an_end_are_named(model: Model) -> None:
    assert named(with_usual(model, (0, 1), (0, 1), (0, 1), (0, 1)), [0.5, 0.9, 0.01, 0.3]) == ["c", "b", "d"]


def test_a_feature_that_never_varied_counts_in_its_own_size_and_at_least_in_ones(model: Model) -> None:
    judge = with_usual(model, (0, 0), (50, 50), (0, 1))
    assert named(judge, [1.0, 70.0, 1.2]) == ["a", "b", "c"]  # 1, 0.4 and 0.2


def test_a_reason_carries_value_and_usual_range(model: Model) -> None:
    (reasons,) = with_usual(model, (-1.2, 3.4)).reasons(np.array([[12.3]]))
    assert reasons == [Reason("a", 12.3, -1.2, 3.4)]


def test_reasons_in_words_are_short() -> None:
    reasons = [
        Reason("amount_z", 12.345, -1.2, 3.4),
        Reason("sum_24h", 1e12, -0.0, 21_500.4),
        Reason("hour", 3.0, 0, 99.96),
    ]
    assert in_words(reasons) == (
        "amount_z 12.3 (usually -1.2 to 3.4); sum_24h 1e+12 (usually 0 to 21,500); hour 3 (usually 0 to 100)"
    )
    assert in_words([]) == ""


def test_the_model_can_be_had_without_mlflow_and_spark() -> None:
    """Spark's Python workers import it, many times."""
    heavy = "import sys, ml.model; print([name for name in ('mlflow', 'pyspark', 'numba') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, check=True).stdout == "[]\n"
