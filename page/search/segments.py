"""The segments of the kept scores: a table each of transactions that came one after the other."""

import sqlite3
from collections.abc import Sequence
from typing import Final, NamedTuple

from page.payment import Payment
from page.search.wanted import COLUMNS
from page.store.alert import kept

_LARGEST: Final = 2**62
_INDEXES: Final = {
    "transaction": "transaction_id",
    "customer": "customer_id, event_time",
    "merchant": "merchant_id, event_time",
    "time": "event_time",
    "score": "anomaly_score",
}
"""Of a full segment; the one that is written to is small enough to be read through."""
_names: Final = ", ".join(f'"{name}"' for name in COLUMNS)
_marks: Final = ", ".join("?" * len(COLUMNS))


TABLES: Final = (
    "create table if not exists segments (number integer primary key, rows integer not null, last_at integer not null)",
    "create table if not exists places (partition integer primary key, next integer not null)",
)
"""What lists the segments, and of each partition of the topic the first record that was not taken in."""


class Segment(NamedTuple):
    """number: the later, the higher. last_at: when its last row came, ms since the epoch."""

    number: int
    rows: int
    last_at: int

    @property
    def table(self) -> str:
        """Its table's name."""
        return f"scores_{self.number}"


def segments(connection: sqlite3.Connection) -> list[Segment]:
    """All, the oldest first."""
    return [Segment(*row) for row in connection.execute("select number, rows, last_at from segments order by number")]


def open_segment(writer: sqlite3.Connection, size: int) -> Segment:
    """The one to write to; where the last one has so many rows, it gets its indexes, and a new one is made."""
    there = segments(writer)
    if there and there[-1].rows < size:
        return there[-1]
    if there:
        for name, columns in _INDEXES.items():
            table = there[-1].table
            writer.execute(f"create index if not exists {table}_{name} on {table} ({columns})")
    new = Segment(there[-1].number + 1 if there else 1, 0, 0)
    writer.execute(
        f"""create table {new.table} (
            number integer primary key, transaction_id text not null, event_time integer not null, customer_id text not null,
            amount real not null, currency text, merchant_id text, merchant_category text, country text, channel text,
            anomaly_score real not null, threshold real not null, is_anomaly integer not null, model_version integer not null,
            "partition" integer not null, "offset" integer not null
        )"""
    )
    writer.execute("insert into segments values (?, 0, 0)", [new.number])
    return new


def made(writer: sqlite3.Connection, into: Segment, payments: Sequence[Payment], now: int) -> None:
    """Add rows to a segment."""
    writer.executemany(f"insert into {into.table} ({_names}) values ({_marks})", map(_row, payments))
    writer.execute(
        "update segments set rows = rows + ?, last_at = ? where number = ?", [len(payments), now, into.number]
    )


def taken(writer: sqlite3.Connection, payments: Sequence[Payment]) -> list[Payment]:
    """Those that were not taken in before, by their places, which count as taken in from now on."""
    places: dict[int, int] = dict(writer.execute("select partition, next from places"))
    fresh = [one for one in payments if one.offset >= places.get(one.partition, 0)]
    for one in fresh:
        places[one.partition] = max(places.get(one.partition, 0), one.offset + 1)
    writer.executemany("insert or replace into places values (?, ?)", places.items())
    return fresh


def forget(writer: sqlite3.Connection, most: int, oldest_ms: int) -> None:
    """Drop the oldest segments: where all have more rows than so many together, and where the last row came before then."""
    there = segments(writer)
    total = sum(one.rows for one in there)
    for one in there:
        if total <= max(0, most) and one.last_at >= oldest_ms:
            return
        writer.execute(f"drop table {one.table}")
        writer.execute("delete from segments where number = ?", [one.number])
        total -= one.rows


def _row(one: Payment) -> tuple[object, ...]:
    return (
        kept(one.transaction_id),
        max(-_LARGEST, min(_LARGEST, round(one.event_time.timestamp() * 1000))),
        kept(one.customer_id),
        one.amount,
        *(None if text is None else kept(text) for text in (one.currency, one.merchant_id, one.merchant_category)),
        *(None if text is None else kept(text) for text in (one.country, one.channel)),
        one.anomaly_score,
        one.threshold,
        one.is_anomaly,
        one.model_version,
        one.partition,
        one.offset,
    )
