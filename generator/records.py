"""Batches as the JSON records that travel through Kafka, encoded a simulated hour at a time."""

from functools import lru_cache
from typing import Any, NamedTuple, cast

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from generator.arrays import Array
from generator.stream import Batch
from ml.schema import Label, Transaction

_encode = msgspec.json.Encoder().encode


class Records(NamedTuple):
    """The n transactions of a batch, ready to send, in order of event_time.

    values: JSON, UTF-8; keys: customer ids, UTF-8; times: (n,) event_time in ms since the epoch; truth: what is known of the
    fraudulent ones, by row; labels: what the bank will learn, by row, the labels of one in their order.
    """

    values: list[bytes]
    keys: list[bytes]
    times: Array
    truth: dict[int, Label]
    labels: dict[int, list[Label]]


def records(batch: Batch, extras: pa.Table | None = None) -> Records:
    """Encode a batch. Unknown fields are null; event_time is ISO 8601 in UTC with milliseconds.

    extras: numbers of the same n transactions beside the contract's fields, each column a field under its own name.
    """
    table = batch.transactions
    times = table["event_time"].cast(pa.int64()).to_numpy()
    columns: list[list[Any]] = [column.to_pylist() for column in table.drop_columns("event_time").columns]
    columns.insert(
        table.schema.get_field_index("event_time"), np.datetime_as_string(times.view("M8[ms]"), timezone="UTC").tolist()
    )
    kind = Transaction
    if extras is not None:
        columns += [column.to_pylist() for column in extras.columns]
        kind = _with_extras(tuple(extras.column_names))
    values = [_encode(kind(*row)) for row in zip(*columns, strict=True)]
    keys: list[Any] = table["customer_id"].cast(pa.binary()).to_pylist()
    truth = {row: labels[-1] for row, labels in _by_row(batch.truth, table).items()}
    return Records(values, keys, times, truth, _by_row(batch.labels, table))


@lru_cache(1)
def _with_extras(names: tuple[str, ...]) -> type[Transaction]:
    attributes = [f"extra_{k}" for k in range(len(names))]  # a name may be one that Python's objects have
    fields = [(attribute, float | None, None) for attribute in attributes]
    called = dict(zip(attributes, names, strict=True))
    return cast(type[Transaction], msgspec.defstruct("Sent", fields, bases=(Transaction,), rename=called, gc=False))


def _by_row(labels: pa.Table, transactions: pa.Table) -> dict[int, list[Label]]:
    rows: list[Any] = pc.index_in(labels["transaction_id"], value_set=transactions["transaction_id"]).to_pylist()
    found: dict[int, list[Label]] = {}
    for row, label in zip(rows, labels.to_pylist(), strict=True):
        found.setdefault(row, []).append(Label(**label))
    return found


def label_value(label: Label) -> bytes:
    """A label as JSON."""
    return _encode(label)
