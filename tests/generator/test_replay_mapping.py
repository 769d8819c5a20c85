"""Mapping files: what they say, and what is said of wrong ones."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from detection.extras import ExtrasReader
from detection.message_parsing import parse
from generator.records import records
from generator.replay.errors import ReplayError
from generator.replay.fit import extra_columns, fit
from generator.replay.mapping import Mapping, load_mapping
from generator.replay.source import Block, Position
from generator.replay.stream import DataSet
from generator.stream import Batch
from generator.tables import LABEL_ARROW
from ml.features.declared import Extra
from ml.schema import TRANSACTION_FIELDS
from tests.generator.replay_data import PLAIN, converted, csv_file, mapping


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"amount": None}, "the key amount is missing"),
        ({"amout": "amount"}, "there is no key amout"),
        ({"amount": {"column": "a", "constant": 1}}, "amount: Value error, needs exactly one of column and constant"),
        (
            {"customer_id": {}},
            "customer_id: Value error, needs exactly one of column, columns, constant and row, but it is {}",
        ),
        ({"event_time": {"column": "at", "unit": "weeks"}}, "event_time.unit: Input should be 'days', 'hours'"),
        ({"event_time": {"column": "at", "spread": True}}, "origin and spread belong to a count: say its unit"),
        ({"event_time": {"column": "at", "zone": "Berlin"}}, "event_time.zone: Value error, is a time zone's name"),
        ({"event_time": {"column": "at", "unit": "days", "origin": "2020-01-01T00:00:00"}}, "event_time.origin"),
        ({"extra": {"a b": "x"}}, "extra.a b"),
        ({"extra": ["amount"]}, "extra.amount.[key]: Value error, an extra's name has letters"),
    ],
)
def test_a_wrong_key_is_named_with_what_was_required_and_what_came(
    tmp_path: Path, changes: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ReplayError, match=r"mapping\.yaml is not a mapping: ") as caught:
        mapping(tmp_path, **changes)
    assert complaint in str(caught.value)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [("a: [", "is not YAML"), ("- a", "has to hold keys such as event_time"), (None, "can't be read")],
)
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, content: str | None, complaint: str) -> None:
    file = tmp_path / "mapping.yaml"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ReplayError, match=complaint):
        load_mapping(str(file))


def test_a_column_that_the_file_lacks_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        ReplayError, match="lacks the column howmuch that the mapping plain names; it has at, who, amount"
    ):
        DataSet(csv_file(tmp_path), mapping(tmp_path, amount="howmuch"))


AT_NOON = datetime(2024, 7, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("time", "text"),
    [
        ({"unit": "hours", "origin": "2024-07-01T00:00:00Z"}, "12"),
        ({"unit": "days", "origin": "2024-06-30T00:00:00Z"}, "1.5"),
        ({"unit": "seconds"}, "1719835200"),
        ({"unit": "milliseconds"}, "1.7198352e12"),
        ({}, "2024-07-01 12:00:00"),
        ({}, "2024-07-01T14:00:00+02:00"),
        ({"zone": "Europe/Berlin"}, "2024-07-01T14:00:00.0004"),
        ({"zone": "Europe/Berlin"}, "2024-07-01T12:00:00Z"),
        ({"format": "%d/%m/%Y %H:%M"}, "01/07/2024 12:00"),
    ],
)
def test_times_in_each_unit_and_form(tmp_path: Path, time: dict[str, str], text: str) -> None:
    file = csv_file(tmp_path, f"{text},c1,5,0")
    made = converted(DataSet(file, mapping(tmp_path, event_time={"column": "at"} | time)), tmp_path / "out")
    assert made["event_time"].to_pylist() == [AT_NOON]


def test_values_are_renamed_scaled_and_made_up_as_the_mapping_says(tmp_path: Path) -> None:
    meant = mapping(
        tmp_path,
        amount={"column": "amount", "scale": 0.01},
        currency={"constant": "EUR"},
        transaction_id={"row": "x"},
        merchant_category={"column": "who", "values": {"c1": "grocery"}},
        channel={"column": "who", "values": {"c1": "chip"}, "otherwise": "unknown"},
        extra={"cents": "amount"},
    )
    made = converted(DataSet(csv_file(tmp_path, "1,c1,250,0", "2,c2,,0", "3,c2,5,0"), meant), tmp_path / "out")
    assert made["transaction_id"].to_pylist() == ["x0000000002", "x0000000004"]
    assert made["amount"].to_pylist() == [2.5, 0.05]
    assert made["merchant_category"].to_pylist() == ["grocery", "c2"]
    assert made["channel"].to_pylist() == ["chip", None]
    assert made["currency"].to_pylist() == ["EUR", "EUR"]
    assert made["extra_cents"].to_pylist() == [250, 5]


def test_extras_travel_under_their_own_names_and_are_read_as_the_history_has_them(tmp_path: Path) -> None:
    meant = mapping(tmp_path, extra={"risk": "amount", "class": "fraud"})
    block = Block(
        pa.table({"at": ["1", "2"], "who": ["a", "b"], "amount": ["0.1", "2"], "fraud": ["0", "1"]}),
        np.arange(2),
        [],
        str,
        Position(0, 0),
        2,
        0,
    )
    table = fit(block, meant).table
    assert table["extra_risk"].to_pylist() == [0.1, 2]
    empty = LABEL_ARROW.empty_table()
    made = records(Batch(table.select(list(TRANSACTION_FIELDS)), empty, empty), extra_columns(table, meant))
    reader = ExtrasReader((Extra("class", 0, 1), Extra("risk", 0, 1)))
    read = [reader.parse(value) for value in made.values]
    assert [transaction.customer_id for transaction, _ in read] == ["a", "b"]
    np.testing.assert_array_equal(reader.array([found for _, found in read]), [[0, 0.1], [1, np.nan]])
    assert list(read[1][1].refused) == ["risk"]


def test_parquet_columns_of_other_types_are_the_same_transactions(tmp_path: Path) -> None:
    file = tmp_path / "data.parquet"
    columns = {
        "at": pa.array([AT_NOON], pa.timestamp("ns", tz="Asia/Tokyo")),
        "who": pa.array([4.0]),  # as pandas writes whole numbers of which some are missing
        "amount": pa.array([5]),
        "fraud": pa.array([True]),
        "category": pa.array(["food"]).dictionary_encode(),
    }
    pq.write_table(pa.table(columns), file)
    made = converted(
        DataSet(file, mapping(tmp_path, event_time="at", merchant_category="category")), tmp_path / "out"
    ).to_pylist()
    assert (made[0]["event_time"], made[0]["customer_id"], made[0]["merchant_category"]) == (AT_NOON, "4", "food")
    assert pq.read_table(tmp_path / "out" / "truth.parquet").num_rows == 1


ANYTHING = (
    st.none() | st.sampled_from(["0", "1", "1e400", "-1", "nan", " 7 ", "2e17", "-1e30", "xy", "x" * 300]) | st.text()
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.fixed_dictionaries(dict.fromkeys(("at", "who", "amount", "fraud"), ANYTHING)), max_size=8))
def test_each_row_is_a_transaction_that_the_job_takes_or_a_reject_with_a_reason(
    rows: list[dict[str, str | None]],
) -> None:
    names = {name: pa.array([row[name] for row in rows], pa.string()) for name in ("at", "who", "amount", "fraud")}
    meant = Mapping.model_validate(PLAIN | {"country": "who", "latitude": "amount", "device_id": "fraud"})
    block = Block(pa.table(names), np.arange(len(rows)), [], str, Position(0, 0), len(rows), 0)
    fitted = fit(block, meant)
    assert sorted([*fitted.table["row"].to_pylist(), *(reject.row for reject in fitted.rejects)]) == list(
        range(len(rows))
    )
    assert all(reject.reason for reject in fitted.rejects)
    empty = LABEL_ARROW.empty_table()
    made = records(Batch(fitted.table.select(list(TRANSACTION_FIELDS)), empty, empty))
    for value, key in zip(made.values, made.keys, strict=True):
        assert parse(value).customer_id.encode() == key


def test_the_mapping_file_of_the_documentation_is_one() -> None:
    text = (Path(__file__).parents[2] / "docs" / "replay.md").read_text("utf-8")
    meant = Mapping.model_validate(yaml.safe_load(text.split("```yaml")[1].split("```")[0]))
    assert meant.label is not None
    assert meant.columns == {"when", "id", "account", "cents", "mcc", "status", "kind", "risk_score", "age"}
