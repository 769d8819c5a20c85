"""What goes into Kafka: JSON as the contract of a transaction has it."""

import re

import msgspec
import pyarrow as pa

from detection.message_parsing import parse
from generator.records import records
from ml.schema import TRANSACTION_FIELDS, Transaction
from tests.generator.conftest import Weeks

TIME = re.compile(rb'"event_time":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"')


def test_records_say_what_the_table_says(weeks: Weeks) -> None:
    batch = weeks.batches[36]
    made = records(batch)
    rows = [msgspec.convert(row, Transaction) for row in batch.transactions.to_pylist()]
    assert len(rows) > 100
    assert [parse(value) for value in made.values] == rows
    assert [key.decode() for key in made.keys] == [row.customer_id for row in rows]
    assert made.times.tolist() == batch.transactions["event_time"].cast(pa.int64()).to_pylist()


def test_times_are_written_in_utc_with_milliseconds(weeks: Weeks) -> None:
    assert all(TIME.search(value) for value in records(weeks.batches[36]).values)


def test_a_transaction_carries_no_label(weeks: Weeks) -> None:
    for batch in weeks.batches[:48]:
        for value in records(batch).values:
            assert set(msgspec.json.decode(value)) == set(TRANSACTION_FIELDS)


def test_the_truth_stands_at_the_row_that_it_is_about(weeks: Weeks) -> None:
    found = 0
    for batch in weeks.batches:
        made = records(batch)
        assert len(made.truth) == len(batch.truth)
        assert len(made.labels) == len(batch.labels)
        for row, label in made.truth.items():
            transaction = msgspec.json.decode(made.values[row], type=Transaction)
            assert (transaction.transaction_id, transaction.customer_id) == (label.transaction_id, label.customer_id)
            assert label.is_fraud
            found += 1
    assert found > 100
