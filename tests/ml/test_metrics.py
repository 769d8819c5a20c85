"""The metrics against scikit-learn, against cases worked by hand, and where there is nothing to measure."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from ml.metrics import Counts, Ranking, card_precision, ceilings

few_scores = st.lists(st.tuples(st.booleans(), st.integers(0, 6)), min_size=2, max_size=60)


def arrays(pairs: list[tuple[bool, int]]) -> tuple[np.ndarray, np.ndarray]:
    truth, scores = zip(*pairs, strict=True)
    return np.array(truth), np.array(scores) / 6


@settings(max_examples=60, deadline=None)
@given(few_scores)
def test_auc_and_average_precision_are_those_of_scikit_learn_ties_or_not(pairs: list[tuple[bool, int]]) -> None:
    truth, scores = arrays(pairs)
    curve = Ranking.from_scores(truth, scores).curve()
    if truth.any():
        assert curve.average_precision.value == pytest.approx(sklearn_metrics.average_precision_score(truth, scores))
    if truth.any() and not truth.all():
        assert curve.roc_auc.value == pytest.approx(sklearn_metrics.roc_auc_score(truth, scores), abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(few_scores, st.randoms(use_true_random=False))
def test_a_weight_counts_a_transaction_so_many_times(pairs: list[tuple[bool, int]], random: object) -> None:
    truth, scores = arrays(pairs)
    weight = np.array([random.randint(0, 3) for _ in pairs])  # type: ignore[attr-defined]
    weighted = Ranking.from_scores(truth, scores).curve(weight.astype(np.float64))
    repeated = Ranking.from_scores(np.repeat(truth, weight), np.repeat(scores, weight)).curve()
    assert weighted.roc_auc.value == pytest.approx(repeated.roc_auc.value)
    assert weighted.average_precision.value == pytest.approx(repeated.average_precision.value)


@settings(max_examples=40, deadline=None)
@given(few_scores)
def test_shares_are_those_of_scikit_learn(pairs: list[tuple[bool, int]]) -> None:
    truth, scores = arrays(pairs)
    alert = scores > 0.5
    counts = Counts.from_flags(truth, alert)
    if alert.any():
        assert counts.precision.value == pytest.approx(sklearn_metrics.precision_score(truth, alert))
    if truth.any():
        assert counts.recall.value == pytest.approx(sklearn_metrics.recall_score(truth, alert))
        assert counts.f1.value == pytest.approx(sklearn_metrics.f1_score(truth, alert))
    if not truth.all():
        rate = sklearn_metrics.confusion_matrix(truth, alert, labels=[False, True])[0]
        assert counts.false_positive_rate.value == pytest.approx(rate[1] / rate.sum())
    assert counts.alert_share.value == pytest.approx(alert.mean())


def test_the_best_threshold_of_hindsight_keeps_to_a_precision_or_to_a_share_of_honest_ones() -> None:
    is_fraud = np.array([True, True, False, True, False, False, False, True])
    curve = Ranking.from_scores(is_fraud, np.arange(8, 0, -1.0)).curve()
    assert curve.most_recall(precision=0.95).value == 0.5
    assert curve.most_recall(precision=0.75).value == 0.75
    assert curve.most_recall(precision=0.5).value == 1
    assert curve.most_recall(false_positive_rate=0.3).value == 0.75
    assert curve.most_recall(false_positive_rate=0.2).value == 0.5
    assert Ranking.from_scores(~is_fraud, np.arange(8, 0, -1.0)).curve().most_recall(precision=0.9).value == 0
    assert Ranking.from_scores(np.zeros(2, np.bool_), np.ones(2)).curve().most_recall().value is None


def test_a_small_case_by_hand() -> None:
    truth = np.array([True, False, True, False, False])
    curve = Ranking.from_scores(truth, np.array([0.9, 0.8, 0.7, 0.2, 0.1])).curve()
    assert curve.roc_auc.value == pytest.approx(5 / 6)  # of 6 pairs one is the wrong way round
    assert curve.average_precision.value == pytest.approx((1 / 1 + 2 / 3) / 2)
    counts = Counts.from_flags(truth, np.array([True, True, False, False, False]))
    assert (counts.precision.value, counts.recall.value, counts.f1.value) == (0.5, 0.5, 0.5)
    assert counts.false_positive_rate.value == pytest.approx(1 / 3)


def test_scores_that_are_all_alike_say_nothing() -> None:
    curve = Ranking.from_scores(np.array([True, False, False, False]), np.full(4, 0.5)).curve()
    assert (curve.roc_auc.value, curve.average_precision.value) == (0.5, 0.25)


@pytest.mark.parametrize(
    ("truth", "metric", "reason"),
    [
        ([False, False], "roc_auc", "no transaction is fraud"),
        ([True, True], "roc_auc", "every transaction is fraud"),
        ([], "roc_auc", "no transaction is fraud"),
        ([False, False], "average_precision", "no transaction is fraud"),
        ([], "average_precision", "no transaction is fraud"),
    ],
)
def test_a_ranking_of_which_nothing_can_be_said_gives_the_reason(truth: list[bool], metric: str, reason: str) -> None:
    figure = getattr(Ranking.from_scores(np.array(truth, bool), np.linspace(0, 1, len(truth))).curve(), metric)
    assert (figure.value, figure.reason) == (None, reason)


@pytest.mark.parametrize(
    ("counts", "metric", "reason"),
    [
        (Counts(0, 0, 5, 5), "precision", "no transaction was alerted"),
        (Counts(0, 3, 0, 5), "recall", "no transaction is fraud"),
        (Counts(3, 0, 5, 0), "false_positive_rate", "every transaction is fraud"),
        (Counts(0, 0, 0, 5), "f1", "there is neither fraud nor an alert"),
        (Counts(0, 0, 0, 0), "alert_share", "there are no transactions"),
    ],
)
def test_a_share_of_nothing_gives_the_reason(counts: Counts, metric: str, reason: str) -> None:
    figure = getattr(counts, metric)
    assert (figure.value, figure.reason) == (None, reason)


def test_a_score_that_is_not_finite_is_refused() -> None:
    with pytest.raises(ValueError, match="scores have to be finite, but 1 of 2 are not"):
        Ranking.from_scores(np.array([True, False]), np.array([0.5, np.nan]))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.booleans(), min_size=20, max_size=200), st.integers(1, 19))
def test_no_detector_is_above_the_ceilings_and_a_perfect_one_reaches_them(truth: list[bool], alerts: int) -> None:
    fraud = np.array(truth)
    perfect = np.zeros(len(fraud), bool)
    perfect[np.argsort(~fraud, kind="stable")[:alerts]] = True
    ceiling, reached = ceilings(alerts / len(fraud), float(fraud.mean())), Counts.from_flags(fraud, perfect)
    arbitrary = Counts.from_flags(fraud, np.arange(len(fraud)) < alerts)
    for metric, most in ceiling.items():
        value, other = getattr(reached, metric).value, getattr(arbitrary, metric).value
        assert value is None or value == pytest.approx(most)
        if metric != "false_positive_rate":
            assert other is None or other <= most + 1e-12


def test_card_precision_by_hand() -> None:
    # Day 1: customer 1 is ranked first by its highest score, and is compromised; 2 and 3 follow, honest.
    # Day 2: 1 was found and is left out; 2 and 3 are checked, of whom 3 is compromised; 4 is known already.
    day = np.array([1, 1, 1, 1, 2, 2, 2, 2])
    customer = np.array([1, 1, 2, 3, 1, 2, 3, 4], np.uint64)
    truth = np.array([True, False, False, False, True, False, True, True])
    scores = np.array([0.1, 0.9, 0.8, 0.7, 1.0, 0.5, 0.4, 1.0])
    known = customer == 4
    cards = card_precision(day, customer, truth, scores, known, k=2)
    assert cards.days.tolist() == [1, 2]
    assert cards.values.tolist() == [0.5, 0.5]
    assert cards.ceilings.tolist() == [0.5, 1.0]  # on day 2 customers 1 and 3 are compromised


def test_card_precision_with_more_to_check_than_customers_still_divides_by_k() -> None:
    one = np.ones(1, np.int64)
    cards = card_precision(one, one.astype(np.uint64), np.ones(1, bool), np.ones(1), np.zeros(1, bool))
    assert cards.values.tolist() == cards.ceilings.tolist() == [0.01]


def test_card_precision_of_customers_who_are_all_known_is_zero_and_so_is_its_ceiling() -> None:
    one = np.ones(1, np.int64)
    cards = card_precision(one, one.astype(np.uint64), np.ones(1, bool), np.ones(1), np.ones(1, bool))
    assert (cards.values.tolist(), cards.ceilings.tolist()) == ([0.0], [0.0])


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_card_precision_does_not_depend_on_the_order_of_the_transactions_ties_or_not(seed: int) -> None:
    random = np.random.default_rng(seed)
    columns = (
        random.integers(0, 4, 200),
        random.integers(0, 40, 200).astype(np.uint64),
        random.random(200) < 0.1,
        random.integers(0, 3, 200) / 3,
        random.random(200) < 0.05,
    )
    shuffled = random.permutation(200)
    first, again = card_precision(*columns, k=5), card_precision(*(column[shuffled] for column in columns), k=5)
    assert first.values.tolist() == again.values.tolist()
    assert (first.values <= first.ceilings).all()
