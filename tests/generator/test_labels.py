"""Labels that come late."""

from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.drafts import DRAFT
from generator.labels import LateLabels, Reporting, label_table
from generator.records import label_value, records
from generator.stream import Batch
from ml.label_rule import NOTHING_KNOWN, change
from ml.schema import Label
from tests.generator.conftest import Weeks

BEGIN = datetime(2026, 5, 1, tzinfo=UTC)


def label(number: int, hours: float) -> Label:
    return Label(f"t{number}", f"c{number}", True, BEGIN + timedelta(hours=hours), "chargeback")


@given(known=st.lists(st.floats(0, 1_000), max_size=40), looked=st.lists(st.floats(0, 2_000), max_size=20))
def test_a_label_comes_once_and_never_before_its_time(known: list[float], looked: list[float]) -> None:
    labels = LateLabels(label(number, hours) for number, hours in enumerate(known))
    come: list[Label] = []
    for hours in sorted(looked):
        now = BEGIN + timedelta(hours=hours)
        fresh = list(labels.due(now))
        assert all(each.label_time <= now for each in fresh)
        come += fresh
    come += labels.due(datetime.max.replace(tzinfo=UTC))
    assert [each.label_time for each in come] == sorted(each.label_time for each in come)
    assert len({each.transaction_id for each in come}) == len(come) == len(known)
    assert len(labels) == 0


def test_labels_are_late_by_a_week_some_never_come_and_some_are_wrong(weeks: Weeks) -> None:
    usual, truth, labels = Reporting(), weeks.truth, weeks.labels
    happened = pc.index_in(labels["transaction_id"], value_set=weeks.transactions["transaction_id"].combine_chunks())
    event_time = weeks.transactions["event_time"].take(happened.combine_chunks())
    days = pc.subtract(labels["label_time"], event_time).cast(pa.int64()).to_numpy() / 86_400_000
    assert (days >= 0).all()
    assert 6 < np.median(days) < 8
    of_fraud = pc.is_in(labels["transaction_id"], value_set=truth["transaction_id"].combine_chunks()).to_numpy()
    is_fraud = labels["is_fraud"].to_numpy()
    assert abs(of_fraud.sum() / len(truth) - (1 - usual.never)) < 0.03
    assert 0 < (~is_fraud[of_fraud]).mean() < 3 * usual.wrong
    assert is_fraud[~of_fraud].all()  # chargebacks against honest transactions
    assert 0.3 < (~of_fraud).sum() / (usual.false_alarms * len(weeks.transactions)) < 2


def test_what_the_bank_learns_names_neither_scenario_nor_campaign(weeks: Weeks) -> None:
    assert weeks.labels["scenario"].null_count == weeks.labels["campaign"].null_count == len(weeks.labels) > 0


def labels_of(weeks: Weeks, reporting: Reporting) -> pa.Table:
    """The labels of an hour in which every fourth transaction is a fraud, with this reporting."""
    transactions = weeks.transactions.slice(0, 4_000)
    made = np.zeros(4_000, DRAFT)
    made["time"] = transactions["event_time"].cast(pa.int64()).to_numpy()
    made["scenario"] = np.where(np.arange(4_000) % 4, -1, 0)
    return label_table(7, 12, reporting, made, transactions)


def test_what_analysts_say_and_what_is_withdrawn_comes_beside_chargebacks_that_stay_as_they_were(weeks: Weeks) -> None:
    before = labels_of(weeks, Reporting())
    further = labels_of(weeks, Reporting(analysts=0.5, withdrawn=0.2))
    assert before["is_fraud"].null_count == 0
    assert set(before["source"].to_pylist()) == {"chargeback"}
    said, analyst = further.filter(pc.is_valid(further["is_fraud"])), pc.field("source") == "analyst"
    assert said.filter(~analyst).equals(before)
    assert len(said.filter(analyst)) == pytest.approx(500, abs=80)
    assert further["is_fraud"].null_count == pytest.approx(0.2 * len(said), abs=80)
    rule = dict[str, int]()
    fraud = labelled = 0
    for one in further.sort_by("label_time").to_pylist():
        changed = change(rule.get(one["transaction_id"], NOTHING_KNOWN), one["source"], one["is_fraud"])
        rule[one["transaction_id"]] = changed.known
        fraud, labelled = fraud + changed.fraud, labelled + changed.labelled
    assert 0.8 * 0.9 * 1_000 < labelled < len(rule)
    assert fraud < labelled


def test_several_labels_of_one_transaction_are_all_sent(weeks: Weeks) -> None:
    labels = labels_of(weeks, Reporting(analysts=1.0, withdrawn=0.5))
    batch = Batch(weeks.transactions.slice(0, 4_000), labels.slice(0, 0), labels)
    sent = [label for of_row in records(batch).labels.values() for label in of_row]
    assert sorted(map(as_bytes, sent)) == sorted(map(as_bytes, (Label(**row) for row in labels.to_pylist())))
    assert any(label.is_fraud is None for label in sent)
    assert b'"is_fraud":null' in label_value(next(label for label in sent if label.is_fraud is None))


def as_bytes(label: Label) -> bytes:
    return msgspec.json.encode(label)


@pytest.mark.parametrize(
    "wrong",
    [{"never": 1.5}, {"wrong": -0.1}, {"false_alarms": float("nan")}, {"median_days": -1.0}, {"withdrawn": 2.0}],
)
def test_reporting_that_cannot_be_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(wrong))}.*but (is|are) "):
        Reporting(**wrong)
