"""Exact sums a second of all scores, from which the panels are drawn, whichever scores become points one by one."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jobs.tallying import Columns
from jobs.throughput import LATEST_MS
from sinks.line_protocol import points

SCORES: Final = "score_sums"
"""By merchant_category and channel: how many were scored, how many of them alerted, and how many are in each bin."""

AMOUNTS: Final = "amount_sums"
"""By currency: how many were scored and alerted, and what they come to."""

BINS: Final = 32
"""Of the anomaly score, alike wide: bin n holds the scores from n/32 up to (n + 1)/32, the last one 1 too."""

_BY: Final = ("second", "merchant_category", "channel", "currency", "bin", "is_anomaly")
_LARGEST: Final = 1e300
"""What a sum of amounts comes to at most: beyond, InfluxDB answers no question about it at all."""

_MICRO_BATCHES: Final = 1_000_000
_LINES: Final = 10_000


def bin_name(number: int) -> str:
    """The field of a bin.

    >>> bin_name(7)
    'bin_07'
    """
    return f"bin_{number:02}"


def summed(scores: Columns, tags: Columns) -> pa.Table:
    """Counts and amounts of some scores (n,), by second of their transaction's Kafka time and all else that sums are kept by.

    scores: kafka_time (ms), anomaly_score, is_anomaly, amount; tags: merchant_category, channel and currency, as they are
    written.
    """
    n = len(scores["kafka_time"])
    second = np.clip(scores["kafka_time"].to_numpy(), 0, LATEST_MS) // 1000
    judged = np.nan_to_num(scores["anomaly_score"].to_numpy())
    columns: dict[str, Any] = {
        "second": pa.array(second),
        **{name: tags[name].dictionary_encode() for name in ("merchant_category", "channel", "currency")},
        "bin": pa.array(np.clip(judged * BINS, 0, BINS - 1).astype(np.int8)),
        "is_anomaly": scores["is_anomaly"],
        "count": pa.array(np.ones(n, np.int64)),
        "amount": scores["amount"].cast(pa.float64()),
    }
    return _grouped(pa.table(columns))


def _grouped(table: pa.Table) -> pa.Table:
    sums = table.group_by(list(_BY), use_threads=False).aggregate([("count", "sum"), ("amount", "sum")])
    grouped: pa.Table = sums.rename_columns([*_BY, "count", "amount"])
    return grouped


def packed(table: pa.Table) -> bytes:
    """Sums on their way from a task to the driver."""
    sink = pa.BufferOutputStream()
    plain = _plain(table)
    with pa.ipc.new_stream(sink, plain.schema) as writer:
        writer.write_table(plain)
    return sink.getvalue().to_pybytes()


def _plain(table: pa.Table) -> pa.Table:
    """With texts instead of dictionaries, which differ from table to table."""
    schema = pa.schema(
        [
            pa.field(field.name, pa.string() if pa.types.is_dictionary(field.type) else field.type)
            for field in table.schema
        ]
    )
    return table.cast(schema)


def added_up(some: Sequence[bytes]) -> pa.Table | None:
    """The sums of several tasks as one; None where there are none."""
    tables = [pa.ipc.open_stream(each).read_all() for each in some]
    return _grouped(pa.concat_tables(tables)) if tables else None


def merged(tables: Sequence[pa.Table]) -> pa.Table:
    """The sums of several pieces (at least one) as one."""
    return _grouped(pa.concat_tables([_plain(table) for table in tables]))


def lines_of(sums: pa.Table, micro_batch: int) -> Iterator[bytes]:
    """The points of a micro-batch's sums, some 10,000 at a time.

    Time: the second, and within it the micro-batch's number in ns, so that a second of which several micro-batches hold a part
    is the sum of their points. What a micro-batch holds is fixed by its checkpoint, so a retry writes the same points.
    """
    time_ns = pc.add(pc.multiply(sums["second"], 1_000_000_000), micro_batch % _MICRO_BATCHES)
    table = sums.append_column("time_ns", time_ns)
    for measurement, tags, fields in (_of_segments(table), _of_currencies(table)):
        for start in range(0, len(fields["scored"]), _LINES):
            piece = {name: column[start : start + _LINES] for name, column in (tags | fields).items()}
            times = piece.pop("time_ns")
            yield points(measurement, {name: piece.pop(name) for name in tags if name != "time_ns"}, piece, times)


def _of_segments(table: pa.Table) -> tuple[str, Columns, Columns]:
    by = ["time_ns", "merchant_category", "channel"]
    counted = table.group_by([*by, "bin"], use_threads=False).aggregate([("count", "sum")])
    alerts = _alerts(table, ["count"])
    whole = alerts.group_by(by, use_threads=False).aggregate([("count", "sum"), ("count_alerted", "sum")])
    place = {key: row for row, key in enumerate(_keys(whole, by))}
    grid = np.zeros((whole.num_rows, BINS), np.int64)
    rows = [place[key] for key in _keys(counted, by)]
    np.add.at(grid, (np.array(rows, np.int64), counted["bin"].to_numpy()), counted["count_sum"].to_numpy())
    bins = {bin_name(n): pa.array(grid[:, n], mask=grid[:, n] == 0) for n in range(BINS) if grid[:, n].any()}
    figures = {"scored": _column(whole, "count_sum"), "alerts": _column(whole, "count_alerted_sum")}
    return SCORES, {name: _column(whole, name) for name in by}, figures | bins


def _of_currencies(table: pa.Table) -> tuple[str, Columns, Columns]:
    by = ["time_ns", "currency"]
    summed = ["count", "amount"]
    wanted: Any = [(name, "sum") for name in (*summed, *(f"{name}_alerted" for name in summed))]
    whole = _alerts(table, summed).group_by(by, use_threads=False).aggregate(wanted)
    bounded = {
        name: pc.min_element_wise(_column(whole, f"{name}_sum"), _LARGEST) for name in ("amount", "amount_alerted")
    }
    figures = {"scored": _column(whole, "count_sum"), "alerts": _column(whole, "count_alerted_sum")}
    return AMOUNTS, {name: _column(whole, name) for name in by}, figures | bounded


def _alerts(table: pa.Table, names: Sequence[str]) -> pa.Table:
    """With what the alerts alone have of some columns."""
    for name in names:
        alone = pc.if_else(table["is_anomaly"], table[name], pa.scalar(0, table[name].type))
        table = table.append_column(f"{name}_alerted", alone)
    return table


def _keys(table: pa.Table, names: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    return zip(*(table[name].to_pylist() for name in names), strict=True)


def _column(table: pa.Table, name: str) -> "pa.Array[Any]":
    column: pa.Array[Any] = table[name].combine_chunks()
    return column
