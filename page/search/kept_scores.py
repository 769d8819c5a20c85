"""The newest transactions of the live feed in a file of the page's own, bounded by number and age, for searches.

What is in it is on Kafka and in the lake too: where the file is damaged, or of another release, it begins again empty.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Final, NamedTuple

from page.errors import TooSlow
from page.payment import Payment
from page.search.wanted import COLUMNS, Found, Wanted
from page.store.alert import kept

_FORM: Final = 1
_BUSY_SECONDS: Final = 10.0
_STEPS: Final = 10_000
"""SQLite's steps between two looks at the clock: some 100 µs."""
_AT_ONCE: Final = 1_000
_MOST_DELETED: Final = 20_000
_LARGEST: Final = 2**62

_names: Final = ", ".join(f'"{name}"' for name in COLUMNS)
_TABLES: Final = f"""
    create table scores (
        number integer primary key, kept_at integer not null, transaction_id text not null, event_time integer not null,
        customer_id text not null, amount real not null, currency text, merchant_id text, merchant_category text, country text,
        channel text, anomaly_score real not null, threshold real not null, is_anomaly integer not null,
        model_version integer not null, "partition" integer not null, "offset" integer not null
    );
    create unique index scores_by_transaction on scores (transaction_id, "partition", "offset");
    create index scores_by_customer on scores (customer_id, event_time);
    create index scores_by_merchant on scores (merchant_id, event_time);
    create index scores_by_time on scores (event_time);
    create index scores_by_score on scores (anomaly_score);
    pragma user_version = {_FORM};
"""
_INSERT: Final = f"insert or ignore into scores (kept_at, {_names}) values ({', '.join('?' * (len(COLUMNS) + 1))})"
_JUDGES: Final = """
    select model_version, count(*), sum(is_anomaly), max(event_time) from scores
    where number > (select max(number) from scores) - 20000 group by model_version order by max(number) desc limit 10
"""
_ORDERS: Final = {"time": "event_time desc, number desc", "score": "anomaly_score desc, number desc"}


class Span(NamedTuple):
    """What is kept: how many, and the event time of the first and the last that were taken in; None where there is none."""

    number: int
    oldest: int | None
    newest: int | None


class Judged(NamedTuple):
    """How many of the newest transactions a version of the model judged. newest: their latest event time, ms."""

    model_version: int
    transactions: int
    alerts: int
    newest: int


class KeptScores:
    """Written by one thread, searched by any. most: rows; hours: by the clock, ms since the epoch, at which they came."""

    def __init__(self, file: Path, most: int, hours: float, clock: Callable[[], int]) -> None:
        self._file, self._most, self._age_ms, self._clock = file, most, round(hours * 3_600_000), clock
        self._writer: sqlite3.Connection | None = None

    def add(self, payments: Sequence[Payment]) -> None:
        """Take in some, and forget the oldest where there are too many. Raises OSError and sqlite3.Error."""
        if not payments:
            return
        try:
            self._add(payments)
        except sqlite3.OperationalError:  # the disk is full, or another holds it
            raise
        except sqlite3.DatabaseError:
            self.close()
            self._delete()
            self._add(payments)

    def find(self, wanted: Wanted, limit: int, skip: int, seconds: float) -> list[Found]:
        """Those of a search from a place on. Raises `TooSlow` where it takes longer, and sqlite3.Error."""
        return [one for some in self.rows(wanted, limit, seconds, skip) for one in some]

    def rows(self, wanted: Wanted, limit: int, seconds: float, skip: int = 0) -> Iterator[list[Found]]:
        """The same, in pieces; nothing where nothing is kept yet."""
        if not self._file.exists():
            return
        condition, values = wanted.condition(lambda ms: ms)
        query = f"select {_names} from scores where {condition} order by {_ORDERS[wanted.order]} limit ? offset ?"
        deadline = time.monotonic() + seconds
        with closing(self._reader()) as reader:
            reader.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
            try:
                rows = reader.execute(query, [*values, limit, skip])
                while some := rows.fetchmany(_AT_ONCE):
                    yield [_found(row) for row in some]
            except sqlite3.OperationalError as error:
                if time.monotonic() > deadline:
                    raise TooSlow(seconds) from None
                if "no such table" not in str(error):  # of a file that is being made
                    raise

    def span(self) -> Span:
        """What is kept now. Raises sqlite3.Error."""
        if not self._file.exists():
            return Span(0, None, None)
        with closing(self._reader()) as reader, suppress(sqlite3.OperationalError):
            low, high = reader.execute("select min(number), max(number) from scores").fetchone()
            if low is not None:
                at = "select event_time from scores where number = ?"
                oldest, newest = (reader.execute(at, [number]).fetchone()[0] for number in (low, high))
                return Span(high - low + 1, oldest, newest)
        return Span(0, None, None)

    def judges(self) -> list[Judged]:
        """Who judged the newest that are kept, the version of the newest one first. Raises sqlite3.Error."""
        if not self._file.exists():
            return []
        with closing(self._reader()) as reader, suppress(sqlite3.OperationalError):
            return [Judged(*row) for row in reader.execute(_JUDGES)]
        return []

    def close(self) -> None:
        """Close the file; the next `add` opens it again."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _add(self, payments: Sequence[Payment]) -> None:
        self._writer = self._writer or self._opened()
        now = self._clock()
        with self._writer:  # one transaction
            self._writer.execute("begin immediate")
            self._writer.executemany(_INSERT, [_row(one, now) for one in payments])
            self._forget(self._writer, now)

    def _forget(self, writer: sqlite3.Connection, now: int) -> None:
        """Those beyond the number, and those that are too old, a bounded number of them at once."""
        low, high = writer.execute("select min(number), max(number) from scores").fetchone()
        if low is None:
            return
        end = max(low, high - self._most + 1)
        writer.execute("delete from scores where number < ?", [min(end, low + _MOST_DELETED)])
        first = writer.execute("select kept_at from scores order by number limit 1").fetchone()
        if first is not None and first[0] < now - self._age_ms:
            old = "delete from scores where number < ? and kept_at < ?"
            writer.execute(old, [low + _MOST_DELETED, now - self._age_ms])

    def _opened(self) -> sqlite3.Connection:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        writer = self._connected()
        form = writer.execute("pragma user_version").fetchone()[0]
        if form != _FORM:
            if form or writer.execute("select count(*) from sqlite_master").fetchone()[0]:
                writer.close()
                self._delete()
                writer = self._connected()
            writer.executescript(_TABLES)
        return writer

    def _connected(self) -> sqlite3.Connection:
        writer = sqlite3.connect(
            self._file, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=16
        )
        writer.execute("pragma journal_mode = wal")
        writer.execute("pragma synchronous = normal")
        writer.execute("pragma cache_size = -65536")
        return writer

    def _reader(self) -> sqlite3.Connection:
        reader = sqlite3.connect(self._file, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        reader.execute("pragma query_only = on")
        return reader

    def _delete(self) -> None:
        for ending in ("", "-wal", "-shm"):
            Path(f"{self._file}{ending}").unlink(missing_ok=True)


def _row(one: Payment, now: int) -> tuple[object, ...]:
    return (
        now,
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


def _found(row: Sequence[object]) -> Found:
    found = Found(*row)  # type: ignore[arg-type]
    return found._replace(is_anomaly=bool(found.is_anomaly))
