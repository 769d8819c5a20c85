"""What holds of every detector: scores as the library that fitted it gives them, one row as a batch, stored and back."""

import pickle
from dataclasses import replace
from itertools import combinations
from math import comb
from pathlib import Path

import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xgboost import DMatrix

from ml.arrays import Flags, Floats
from ml.detectors import DETECTORS, Scorer, TooFewRows, random_forest, xgboost
from ml.detectors.combined import Combined
from ml.detectors.isolation_forest import IsolationForest, scorer_of
from ml.scorers import serialization
from ml.scorers.shapley import contributions
from ml.scorers.tree_layout import LibraryTree, laid_out
from ml.scorers.trees import DEEPEST, Trees

COLUMNS = 6
ROWS = 4_000
SMALL = {
    "isolation_forest": IsolationForest(trees=30),
    "logistic_regression": DETECTORS["logistic_regression"],
    "random_forest": random_forest.RandomForest(trees=20, depth=7),
    "xgboost": xgboost.XGBoost(trees=40),
    "combined": Combined(IsolationForest(trees=20), xgboost.XGBoost(trees=20), random_forest.RandomForest(trees=10)),
}
# What float32 tells apart, what it does not, both zeros, and what is far beyond all that was trained on.
VALUES = st.one_of(st.floats(-1e30, 1e30), st.sampled_from([0.0, -0.0, 0.1, 0.5, 1.0, 1e-45, -1e-45, 3.4e38]))
ANY_ROWS = arrays.arrays(np.float64, (7, COLUMNS), elements=VALUES)


def made_up(seed: int = 0) -> tuple[Floats, Flags]:
    """Rows (ROWS, COLUMNS) with values that repeat, and a fraud where the first two are large together."""
    random = np.random.default_rng(seed)
    features = random.normal(size=(ROWS, COLUMNS))
    features[:, 2] = features[:, 2] > 0
    features[:, 3] = np.round(features[:, 3], 1)
    return features, features[:, 0] + features[:, 1] > 2.5


@pytest.fixture(scope="module")
def fitted() -> dict[str, Scorer]:
    features, is_fraud = made_up()
    return {name: detector.fit(features, is_fraud, 1) for name, detector in SMALL.items()}


def test_the_detectors_have_the_names_that_the_command_line_takes() -> None:
    assert set(DETECTORS) == set(SMALL)
    assert [name for name, detector in DETECTORS.items() if not detector.needs_labels] == ["isolation_forest"]


@pytest.fixture(scope="module")
def isolation() -> tuple[object, Scorer]:
    forest = SMALL["isolation_forest"].forest(made_up()[0], 1)  # type: ignore[attr-defined]
    return forest, scorer_of(forest)


@settings(deadline=None, max_examples=50)
@given(ANY_ROWS)
def test_an_isolation_forest_scores_as_scikit_learns(isolation: tuple[object, Scorer], rows: Floats) -> None:
    forest, scorer = isolation
    np.testing.assert_allclose(scorer.anomaly_score(rows), -forest.score_samples(rows), rtol=0, atol=1e-12)  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def voting() -> tuple[object, Trees]:
    forest = SMALL["random_forest"].forest(*made_up(), 1)  # type: ignore[attr-defined]
    return forest, random_forest.trees_of(forest)


@settings(deadline=None, max_examples=30)
@given(ANY_ROWS)
def test_a_random_forest_votes_as_scikit_learns(voting: tuple[object, Trees], rows: Floats) -> None:
    forest, flat = voting
    expected = forest.predict_proba(rows)[:, 1]  # type: ignore[attr-defined]
    np.testing.assert_allclose(flat.sums(rows) / len(flat.leaf), expected, rtol=0, atol=1e-9)


@pytest.fixture(scope="module")
def boosted() -> tuple[object, Trees]:
    booster = SMALL["xgboost"].booster(*made_up(), 1)  # type: ignore[attr-defined]
    return booster, xgboost.trees_of(booster)


@settings(deadline=None, max_examples=30)
@given(ANY_ROWS)
def test_xgboosts_margin_is_its_own_but_for_the_rounding_of_its_float32_sums(
    boosted: tuple[object, Trees], rows: Floats
) -> None:
    booster, flat = boosted
    expected = booster.predict(DMatrix(rows.astype(np.float32)), output_margin=True)  # type: ignore[attr-defined]
    np.testing.assert_allclose(flat.sums(rows), expected, rtol=0, atol=2e-5)


@pytest.mark.parametrize("name", SMALL)
def test_one_row_scores_as_in_a_batch_whatever_it_holds(fitted: dict[str, Scorer], name: str) -> None:
    scorer = fitted[name]

    @settings(deadline=None, max_examples=30)
    @given(ANY_ROWS)
    def check(rows: Floats) -> None:
        scores = scorer.anomaly_score(rows)
        assert ((scores >= 0) & (scores <= 1)).all()
        np.testing.assert_allclose([scorer.anomaly_score_one(row) for row in rows], scores, rtol=0, atol=1e-9)
        assert scorer.anomaly_score(rows[::-1])[::-1].tolist() == scores.tolist()

    check()


@pytest.mark.parametrize("name", SMALL)
def test_a_scorer_comes_back_from_its_file_and_from_a_pickle_as_it_was(
    fitted: dict[str, Scorer], name: str, tmp_path: Path
) -> None:
    features, _ = made_up(2)
    serialization.write(fitted[name], tmp_path / "scorer.npz")
    scores = fitted[name].anomaly_score(features).tolist()
    assert serialization.read(tmp_path / "scorer.npz").anomaly_score(features).tolist() == scores
    assert pickle.loads(pickle.dumps(fitted[name])).anomaly_score(features).tolist() == scores


@pytest.mark.parametrize("name", SMALL)
def test_the_same_rows_and_seed_give_the_same_scores(fitted: dict[str, Scorer], name: str) -> None:
    features, is_fraud = made_up()
    again = SMALL[name].fit(features, is_fraud, 1)
    assert again.anomaly_score(features).tolist() == fitted[name].anomaly_score(features).tolist()


@pytest.mark.parametrize("name", [name for name in SMALL if DETECTORS[name].needs_labels])
def test_what_labels_taught_is_calibrated_on_rows_that_nobody_has_seen(fitted: dict[str, Scorer], name: str) -> None:
    features, is_fraud = made_up(3)
    scores = fitted[name].anomaly_score(features)
    assert scores[is_fraud].mean() > 10 * scores[~is_fraud].mean()
    assert scores.sum() == pytest.approx(is_fraud.sum(), rel=0.5)


def test_too_few_frauds_are_refused_with_their_number() -> None:
    features, is_fraud = made_up()
    with pytest.raises(TooFewRows, match=r"at least 10 known frauds.* 0 are known frauds"):
        SMALL["xgboost"].fit(features, np.zeros_like(is_fraud), 1)
    with pytest.raises(TooFewRows, match="at least 2 rows"):
        SMALL["isolation_forest"].fit(features[:1], is_fraud[:1], 1)


def test_rows_of_another_width_are_refused_before_they_can_crash_the_process(fitted: dict[str, Scorer]) -> None:
    for name in ("isolation_forest", "random_forest", "xgboost", "combined"):
        with pytest.raises(ValueError, match="rows of 6 features are required"):
            fitted[name].anomaly_score(np.zeros((2, 3)))
        with pytest.raises(ValueError, match="rows of 6 features are required"):
            fitted[name].anomaly_score_one(np.zeros(3))


def test_trees_that_are_too_deep_are_refused() -> None:
    nodes = 2 * DEEPEST + 3  # a chain: every left child is a leaf
    inner = np.arange(nodes) % 2 == 0
    inner[-1] = False
    left, right = (np.where(inner, np.arange(nodes) + step, -1) for step in (1, 2))
    chain = LibraryTree(left, right, np.zeros(nodes, int), np.zeros(nodes), np.zeros(nodes))
    with pytest.raises(ValueError, match=f"at most {DEEPEST} levels deep"):
        laid_out([chain], 1)


# Shapley values


def by_definition(flat: Trees, row: Floats, reference: Floats) -> Floats:
    """Each feature's mean gain over all orders in which the row's features may replace the reference's."""
    parts = np.zeros(COLUMNS)
    for k in range(COLUMNS):
        others = [f for f in range(COLUMNS) if f != k]
        for size in range(COLUMNS):
            for chosen in combinations(others, size):
                without = reference.copy()
                without[list(chosen)] = row[list(chosen)]
                with_it = without.copy()
                with_it[k] = row[k]
                gain = flat.sum_one(with_it) - flat.sum_one(without)
                parts[k] += gain / (COLUMNS * comb(COLUMNS - 1, size))
    return parts


def test_contributions_of_trees_are_shapley_values_by_their_definition(boosted: tuple[object, Trees]) -> None:
    features, _ = made_up(4)
    reference = np.median(features, axis=0)
    fast = contributions(boosted[1], features[:5], reference)
    np.testing.assert_allclose(fast, [by_definition(boosted[1], row, reference) for row in features[:5]], atol=1e-9)


@pytest.mark.parametrize("name", SMALL)
def test_what_is_as_usual_contributes_nothing_and_what_is_not_the_most(fitted: dict[str, Scorer], name: str) -> None:
    typical = np.median(made_up()[0], axis=0)
    row = typical.copy()
    row[[0, 1]] = 3.0, 2.5
    (parts,) = fitted[name].contributions(row[None], typical)
    assert (parts[[0, 1]] > 0).all()
    assert parts[2:].tolist() == [0.0] * 4


def test_hyper_parameters_of_a_detector_are_its_own(fitted: dict[str, Scorer]) -> None:
    features, is_fraud = made_up()
    other = replace(SMALL["isolation_forest"], trees=31).fit(features, is_fraud, 1)  # type: ignore[type-var]
    assert other.anomaly_score(features[:9]).tolist() != fitted["isolation_forest"].anomaly_score(features[:9]).tolist()
