"""The truth in a data set's label column, and when a bank would have learned it."""

from collections.abc import Iterable, Iterator
from typing import Any, Final

import numpy as np
import pyarrow as pa

from generator.arrays import Array
from generator.labels import SOURCE, Reporting
from generator.randomness import scrambled
from generator.replay.fit import FRAUD, ROW, SCENARIO
from generator.replay.values import pc
from generator.tables import LABEL_ARROW

_DAY_MS: Final = 86_400_000
_TIME: Final = LABEL_ARROW.field("label_time").type


def truth_table(fitted: pa.Table, source: str) -> pa.Table:
    """The truth about the fraudulent ones among fitted rows, in LABEL_ARROW, in their order. None where there is no label.

    A campaign is what happens to one customer by one kind of fraud: a data set does not say more.
    """
    if FRAUD not in fitted.schema.names:
        return LABEL_ARROW.empty_table()
    fraud = fitted.filter(fitted[FRAUD])
    kind = pc.coalesce(fraud[SCENARIO], pa.scalar(source))
    columns: dict[str, Any] = {
        "transaction_id": fraud["transaction_id"],
        "customer_id": fraud["customer_id"],
        "is_fraud": pa.repeat(True, fraud.num_rows),
        "label_time": fraud["event_time"],
        "source": pa.repeat(source, fraud.num_rows),
        "scenario": kind,
        "campaign": pc.binary_join_element_wise(kind, fraud["customer_id"], "-"),
    }
    return pa.table(columns, schema=LABEL_ARROW)


def label_table(truth: pa.Table, rows: Array, reporting: Reporting) -> pa.Table:
    """When each of these frauds (n,) becomes known, in LABEL_ARROW, in their order: what the bank learns, no scenario.

    `rows` (n,) are the numbers of the truth's rows in the file; the delay depends on them alone, so that a run that goes on
    where another stopped says the same.
    """
    delay_ms = reporting.median_days * _DAY_MS * np.exp(reporting.spread * _normal(rows))
    times = truth["label_time"].cast(pa.int64()).to_numpy() + delay_ms.astype(np.int64)
    columns: dict[str, Any] = {name: truth[name] for name in ("transaction_id", "customer_id", "is_fraud")} | {
        "label_time": pa.array(times).cast(_TIME),
        "source": pa.repeat(SOURCE, len(rows)),
        "scenario": pa.nulls(len(rows), pa.string()),
        "campaign": pa.nulls(len(rows), pa.string()),
    }
    return pa.table(columns, schema=LABEL_ARROW)


def fraud_rows(fitted: pa.Table) -> Array:
    """The row numbers of the fraudulent ones among fitted rows; none where there is no label."""
    rows: Array = fitted[ROW].to_numpy()
    return rows[fitted[FRAUD].to_numpy()] if FRAUD in fitted.schema.names else rows[:0]


def in_order_of_label_time(parts: Iterable[tuple[pa.Table, int]]) -> Iterator[pa.Table]:
    """Labels sorted by label_time, holding only those that are not due yet.

    `parts` are tables in LABEL_ARROW, each with a time (ms since the epoch) that all later ones' labels are not before.
    """
    under_way = LABEL_ARROW.empty_table()
    for part, until in parts:
        under_way = pa.concat_tables([under_way, part]).sort_by("label_time")
        due = int(np.searchsorted(under_way["label_time"].cast(pa.int64()).to_numpy(), until, side="right"))
        yield under_way.slice(0, due)
        under_way = under_way.slice(due)
    yield under_way


def _normal(rows: Array) -> Array:
    """Standard normal numbers (n,) that depend on row numbers (n,) alone (Box and Muller 1958)."""
    bits = scrambled(np.concatenate([2 * rows, 2 * rows + 1]).astype(np.uint64), 0)
    uniform = (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53
    first, second = np.split(uniform, 2)
    normal: Array = np.sqrt(-2 * np.log1p(-first)) * np.cos(2 * np.pi * second)
    return normal
