"""Judging: the split in time, what labels teach and the truth judges, intervals, attacks, and clear answers to odd data."""

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.dataset.history import HistoryError
from ml.dataset.labels import Labels
from ml.dataset.split import Split
from ml.detectors import DETECTORS
from ml.evaluation.attacks import attacks_of
from ml.evaluation.contest import Terms, evaluate
from ml.evaluation.data import Data, outline, read
from ml.evaluation.errors import EvaluationError
from ml.evaluation.estimates import over_days, over_seeds
from ml.evaluation.judgement import JudgedPart, Judgement, judge
from ml.evaluation.report import cell, last_line, one_customer_rows
from ml.features import DAY
from ml.features.events import hash_id
from ml.label_rule import FRAUD, HONEST
from ml.metrics import Figure
from tests.ml.evaluation_cases import ATTACK_HOUR, START, rows, write_history, write_labels, write_transactions


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("evaluated")
    write_history(path)
    return path


def data_of(folder: Path) -> Data:
    seen = outline(folder)
    return read(seen, Split.from_span(int(seen.times[0]), int(seen.times[-1]), seen.label_delay_days), 0)


@pytest.fixture(scope="module")
def data(folder: Path) -> Data:
    return data_of(folder)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2_000_000_000_000), st.floats(min_value=0.01, max_value=900), st.floats(min_value=0, max_value=30)
)
def test_the_parts_follow_each_other_with_a_gap_as_long_as_labels_take(first: int, days: float, delay: float) -> None:
    last = first + round(days * DAY)
    try:
        split = Split.from_span(first, last, delay)
    except HistoryError:
        assert delay > 0.5 * days or days < 1
        return
    assert first <= split.fit_start < split.gap_start < split.test_start <= last < split.end
    assert split.test_start - split.gap_start >= delay * DAY - 1
    assert split.test_start % DAY == 0 or last - split.test_start < 2 * DAY


def test_the_gap_is_the_labels_own_delay_and_no_transaction_is_in_two_parts(data: Data) -> None:
    assert data.outline.label_delay_days == 7
    assert data.split.test_start - data.split.gap_start == 7 * DAY
    parts = [part.transaction for part in (data.fit, data.gap, data.test)]
    together = np.concatenate(parts)
    assert len(np.unique(together)) == len(together)
    assert data.fit.time.max() < data.gap.time.min() <= data.gap.time.max() < data.test.time.min()
    assert data.test.time.min() >= data.split.test_start


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 50))
def test_only_labels_that_had_come_by_the_time_of_training_are_learned_from(delay_days: int) -> None:
    made = rows(10)
    frauds = [row for row in made if row["campaign"]]
    ids, at = np.array([hash_id(row["id"]) for row in frauds], np.uint64), np.array([row["time"] for row in frauds])
    labels = Labels(
        None,  # type: ignore[arg-type]  # the ids themselves play no part here
        ids,
        ids,
        np.zeros(len(ids), np.uint8),
        np.full(len(ids), FRAUD, np.uint8),
        at + delay_days * DAY,
        np.zeros(len(ids), np.int64),
        np.zeros(len(ids), np.int64),
        ("theft",),
    )
    now = START + 10 * DAY
    assert labels.fraud_of(ids, by=now).tolist() == (at + delay_days * DAY <= now).tolist()
    assert labels.fraud_of(ids).all()


def test_the_latest_label_of_a_transaction_counts() -> None:
    transaction = np.array([5, 5, 6], np.uint64)
    none = np.full(3, -1)
    labels = Labels(
        None,  # type: ignore[arg-type]
        transaction,
        transaction,
        np.zeros(3, np.uint8),
        np.array([FRAUD, HONEST, FRAUD], np.uint8),
        np.array([10, 20, 30]),
        none,
        none,
        (),
    )
    asked = np.array([4, 5, 6], np.uint64)
    assert labels.fraud_of(asked, by=10).tolist() == [False, True, False]
    assert labels.fraud_of(asked, by=20).tolist() == [False, False, False]
    assert labels.fraud_of(asked).tolist() == [False, False, True]


def test_labels_with_nulls_are_left_out_and_other_types_are_refused_with_the_reason(tmp_path: Path) -> None:
    time = pa.array([1, 2, None, 4], pa.timestamp("ms", tz="UTC"))
    columns = {"transaction_id": ["a", None, "c", "d"], "customer_id": ["x", "x", "x", None], "is_fraud": [True] * 4}
    pq.write_table(pa.table(columns | {"label_time": time}), tmp_path / "labels.parquet")
    assert Labels.read(tmp_path / "labels.parquet").ids.to_pylist() == ["a"]
    pq.write_table(pa.table(columns | {"label_time": ["soon"] * 4}), tmp_path / "labels.parquet")
    with pytest.raises(HistoryError, match=r"labels\.parquet has columns of other types than labels have: .*soon"):
        Labels.read(tmp_path / "labels.parquet")


def test_a_label_without_a_verdict_withdraws_what_its_source_had_said(tmp_path: Path) -> None:
    columns = {
        "transaction_id": ["a", "b", "a", "b", "a"],
        "customer_id": ["x"] * 5,
        "is_fraud": [True, True, None, False, True],
        "label_time": pa.array([1, 1, 1, 2, 1], pa.timestamp("ms", tz="UTC")),
        "source": ["chargeback", "chargeback", "chargeback", "analyst", None],
    }
    pq.write_table(pa.table(columns), tmp_path / "labels.parquet")
    labels, asked = Labels.read(tmp_path / "labels.parquet"), np.array([hash_id("a"), hash_id("b")], np.uint64)
    assert labels.rows_of(asked).tolist() == [3, 1]  # by the order in the file, since three came at once
    assert labels.fraud_of(asked).tolist() == [True, True]
    assert labels.changes().fraud.tolist() == [1, 1, -1, 1, 0]
    pq.write_table(pa.table(columns).drop_columns("source"), tmp_path / "labels.parquet")
    labels = Labels.read(tmp_path / "labels.parquet")
    assert labels.fraud_of(asked).tolist() == [True, False]  # the latest of the only source


def test_labels_that_come_too_late_teach_nothing_and_the_truth_still_judges(tmp_path: Path) -> None:
    made = write_history(tmp_path)
    write_labels(tmp_path / "labels.parquet", made, delay=100 * DAY)
    results = evaluate(tmp_path, list(DETECTORS.values()), Terms(0.02, 7.0, 0))
    isolation, xgboost = results["isolation_forest"], results["xgboost"]
    assert isinstance(isolation, Judgement)
    assert isolation.frauds == 30
    assert isinstance(xgboost, str)
    assert "known frauds" in xgboost


def test_a_perfect_scorer_reaches_every_ceiling_and_an_attack_is_caught_at_once(data: Data) -> None:
    judged_part = JudgedPart.from_data(data)
    judgement = judge(judged_part, judged_part.is_fraud * 1.0, judged_part.is_fraud, float(judged_part.is_fraud.mean()))
    for name, ceiling in judgement.ceilings.items():
        assert judgement.figures[name].value == pytest.approx(ceiling)
    theft = judgement.scenarios["theft"]
    assert (theft.attacks, theft.caught, theft.frauds) == (10, 10, 30)
    assert (theft.median_transactions_to_detection, theft.median_seconds_to_detection, theft.amount_lost) == (1, 0, 0)


def test_an_attack_that_is_caught_late_has_lost_what_went_before(data: Data) -> None:
    judged_part = JudgedPart.from_data(data)
    second = judged_part.is_fraud & (data.test.time % DAY == ATTACK_HOUR + 60_000)
    judgement = judge(judged_part, second * 1.0, second, 0.005)
    theft = judgement.scenarios["theft"]
    assert theft.recall.value == pytest.approx(1 / 3)
    assert (theft.median_transactions_to_detection, theft.median_seconds_to_detection) == (2, 60)
    assert (theft.median_amount_lost, theft.amount_lost, theft.amount) == (900, 9_000, 27_030)


def test_an_attack_that_began_before_the_test_says_nothing_of_how_soon_it_was_caught(data: Data) -> None:
    late = data.test.select(data.test.time >= data.split.test_start + ATTACK_HOUR + 60_000)
    judged_part = JudgedPart.from_data(data, late)
    attacks = attacks_of(judged_part.frauds, late, judged_part.is_fraud)
    assert (len(attacks.whole), attacks.whole.sum()) == (10, 9)


def test_customers_known_as_compromised_are_those_whose_labels_had_come_when_the_day_began(data: Data) -> None:
    known = JudgedPart.from_data(data).known
    first = data.test.day == data.test.day.min()
    day = int(data.test.day.min() - START // DAY)
    told = {hash_id(f"c{victim}") for victim in range(day - 7)}  # the robbery of a week ago is told at three today
    assert set(data.test.customer[first & known].tolist()) == told & set(data.test.customer[first].tolist())


def test_the_same_data_and_seed_give_the_same_figures(folder: Path) -> None:
    twice = [evaluate(folder, [DETECTORS["isolation_forest"]], Terms(0.02, None, 4)) for _ in range(2)]
    assert msgspec.json.encode(twice[0]) == msgspec.json.encode(twice[1])


def test_the_threshold_is_set_before_the_test_and_the_alert_share_told(folder: Path, tmp_path: Path) -> None:
    def alerts(path: Path) -> float:
        result = evaluate(path, [DETECTORS["isolation_forest"]], Terms(0.02, 7.0, 0))["isolation_forest"]
        assert isinstance(result, Judgement)
        return result.figures["alert_share"].value or 0.0

    made = rows()
    start = data_of(folder).split.test_start
    dear = [row | {"amount": row["amount"] * 50} if row["time"] >= start else row for row in made]
    write_transactions(tmp_path, dear)
    write_labels(tmp_path / "truth.parquet", dear)
    assert 0.01 < alerts(folder) < 0.04
    assert alerts(tmp_path) > 3 * alerts(folder)


def test_an_interval_over_days_draws_days_and_holds_the_value() -> None:
    values = np.arange(20) / 20
    estimate = over_days(20, lambda weight: {"x": Figure(float(weight @ values / weight.sum()))}, seed=1)["x"]
    assert estimate.low is not None
    assert estimate.high is not None
    assert estimate.low < values.mean() < estimate.high
    deviation = values.std() / np.sqrt(20)
    assert estimate.high - estimate.low == pytest.approx(2 * 1.96 * deviation, rel=0.25)


def test_one_day_has_figures_but_no_interval() -> None:
    estimate = over_days(1, lambda _: {"x": Figure(0.5)}, seed=1)["x"]
    assert (estimate.value, estimate.low, estimate.reason) == (
        0.5,
        None,
        "an interval over days needs at least two days",
    )
    assert over_seeds([0.5]).low is None
    assert over_seeds([None, None]).reason == "none of 2 runs has a value"


def test_a_figure_that_not_all_runs_have_says_of_how_many_it_is() -> None:
    """A mean over the runs that happen to have a decline threshold is not one over all runs."""
    assert over_seeds([0.8, None, 0.9]).exists_in == "2 of 3 runs"
    assert cell("decline_recall", over_seeds([0.5, None, None])) == "0.500 (1 of 3 runs)"
    assert cell("decline_recall", over_seeds([0.8, 0.9])) == "0.850 [0.215, 1.000]"


def test_kinds_that_cross_customers_are_also_left_out(data: Data) -> None:
    truth = data.outline.knowledge.truth
    odd = np.arange(len(truth.scenario)) % 6 < 3  # every second theft
    named = replace(truth, scenario=np.where(odd, 0, 1), scenarios=("theft", "web_skimmer"))
    both = replace(data, outline=data.outline._replace(knowledge=replace(data.outline.knowledge, truth=named)))
    part = JudgedPart.from_data(both)
    skimmed = named.scenario[named.rows_of(part.test.transaction)] == 1
    scores = part.test.amount * ~(part.is_fraud & skimmed)  # which finds the thefts alone
    judgement = judge(part, scores, scores > 500, 0.02)
    assert judgement.scenarios["theft"].recall.value == 1
    assert judgement.scenarios["web_skimmer"].recall.value == 0
    recall = judgement.figures["recall"].value
    assert recall is not None
    assert 0.4 < recall < 0.6
    assert judgement.of_one_customer.keys() == judgement.figures.keys()
    assert judgement.of_one_customer["recall"].value == judgement.of_one_customer["auc"].value == 1
    line = last_line({"amount": judgement})
    assert line["of_one_customer"]["amount"]["average_precision"] == 1
    assert one_customer_rows({"amount": judgement})[0][:3] == ["amount", "1.000 [1.000, 1.000]", "1.000 [1.000, 1.000]"]
    usual = judge(JudgedPart.from_data(data), data.test.amount, data.test.amount > 500, 0.02)
    assert usual.of_one_customer == {}
    assert "of_one_customer" not in last_line({"amount": usual})


@pytest.mark.parametrize("fraud", [False, True])
def test_a_test_part_without_fraud_or_without_honesty_has_reasons_and_no_nan(data: Data, fraud: bool) -> None:
    judged_part = JudgedPart.from_data(data)
    some = judged_part.is_fraud if fraud else ~judged_part.is_fraud
    part = JudgedPart.from_data(data, data.test.select(some))
    judgement = judge(part, np.zeros(len(part.test)), np.zeros(len(part.test), bool), 0.005)
    assert b"NaN" not in msgspec.json.encode(judgement)
    assert judgement.figures["auc"].value is None
    assert judgement.figures["auc"].reason == ("every transaction is fraud" if fraud else "no transaction is fraud")
    assert judgement.figures["average_precision"].value == (1.0 if fraud else None)
    assert last_line({"none": judgement})["none"]["auc"] is None


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ((), r"should hold truth\.parquet \(or labels\.parquet\) to judge by, but neither is there"),
        (("truth.parquet",), "a test of the last quarter need a history of more than 80.0 days, but it has 40.0"),
    ],
)
def test_a_history_that_cannot_be_judged_is_refused_with_a_reason(
    tmp_path: Path, written: tuple[str, ...], message: str
) -> None:
    made = rows()
    write_transactions(tmp_path, made)
    for name in written:
        write_labels(tmp_path / name, made)
    with pytest.raises(HistoryError, match=message):
        evaluate(tmp_path, [DETECTORS["isolation_forest"]], Terms(0.005, 60.0, 0))


@pytest.mark.parametrize("budget", [0.0, 1.0, float("nan")])
def test_a_budget_that_is_no_share_is_refused(tmp_path: Path, budget: float) -> None:
    with pytest.raises(EvaluationError, match=r"is a share of the traffic, such as 0\.005"):
        evaluate(tmp_path, [], Terms(budget, None, 0))
