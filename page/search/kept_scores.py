"""The newest transactions of the live feed in a file of the page's own, bounded by number and age, for searches.

They are kept in segments, a table each: a full one gets its indexes at once, and the oldest is dropped whole, which costs a
small part of what rows cost that go into indexes and out of them singly. What is in the file is on Kafka and in the lake too:
where it is damaged, or of another release, it begins again empty.
"""

import heapq
import sqlite3
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

from page.errors import TooSlow
from page.payment import Payment
from page.search.segments import TABLES, forget, made, open_segment, segments, taken
from page.search.wanted import COLUMNS, Found, Wanted

_FORM: Final = 2
_BUSY_SECONDS: Final = 10.0
_STEPS: Final = 10_000
"""SQLite's steps between two looks at the clock: some 100 µs."""
_AT_ONCE: Final = 1_000

_names: Final = ", ".join(f'"{name}"' for name in COLUMNS)
_KEYS: Final = {"time": "event_time", "score": "anomaly_score"}
_JUDGES: Final = "select model_version, count(*), sum(is_anomaly), max(event_time) from {table} group by model_version"


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

    def begin(self, ends: Mapping[int, int]) -> None:
        """To be called with the ends of the topic's partitions before it is read: one that is shorter now was made again.

        Raises OSError and sqlite3.Error.
        """
        self._whole(
            lambda writer: writer.executemany("delete from places where partition = ? and next > ?", ends.items())
        )

    def add(self, payments: Sequence[Payment]) -> None:
        """Take in those that were not taken in before, by their places, and forget the oldest. Raises as `begin`."""
        if not payments:
            return

        def write(writer: sqlite3.Connection) -> None:
            now = self._clock()
            forget(writer, self._most - len(payments), now - self._age_ms)
            fresh = taken(writer, payments)
            if fresh:
                made(writer, open_segment(writer, max(100, self._most // 20)), fresh, now)

        self._whole(write)

    def find(self, wanted: Wanted, limit: int, skip: int, seconds: float) -> list[Found]:
        """Those of a search from a place on. Raises `TooSlow` where it takes longer, and sqlite3.Error."""
        return [one for some in self.rows(wanted, limit, seconds, skip) for one in some]

    def rows(self, wanted: Wanted, limit: int, seconds: float, skip: int = 0) -> Iterator[list[Found]]:
        """The same, in pieces; nothing where nothing is kept yet."""
        if not self._file.exists():
            return
        deadline = time.monotonic() + seconds
        with closing(self._reader()) as reader:
            reader.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
            try:
                with closing(_merged(reader, wanted, skip + limit)) as merged:
                    found = islice(merged, skip, skip + limit)
                    while some := [_found(row) for row in islice(found, _AT_ONCE)]:
                        yield some
            except sqlite3.OperationalError as error:
                if time.monotonic() > deadline:
                    raise TooSlow(seconds) from None
                if "no such table" not in str(error):  # of a file that is being made
                    raise

    def span(self) -> Span:
        """What is kept now. Raises sqlite3.Error."""
        if self._file.exists():
            with closing(self._reader()) as reader, suppress(sqlite3.OperationalError):
                there = [one for one in segments(reader) if one.rows]
                if there:
                    at = "select event_time from {} order by number {} limit 1"
                    oldest = reader.execute(at.format(there[0].table, "asc")).fetchone()[0]
                    newest = reader.execute(at.format(there[-1].table, "desc")).fetchone()[0]
                    return Span(sum(one.rows for one in there), oldest, newest)
        return Span(0, None, None)

    def judges(self) -> list[Judged]:
        """Who judged those in the two newest segments, the version of the newest one first. Raises sqlite3.Error."""
        found: dict[int, Judged] = {}
        if self._file.exists():
            with closing(self._reader()) as reader, suppress(sqlite3.OperationalError):
                for one in segments(reader)[-2:]:
                    for row in map(Judged._make, reader.execute(_JUDGES.format(table=one.table))):
                        before = found.pop(row.model_version, Judged(row.model_version, 0, 0, row.newest))
                        sums = before.transactions + row.transactions, before.alerts + row.alerts
                        found[row.model_version] = Judged(row.model_version, *sums, max(before.newest, row.newest))
        return sorted(found.values(), key=lambda one: one.newest, reverse=True)

    def close(self) -> None:
        """Close the file; the next `add` opens it again."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _whole(self, write: Callable[[sqlite3.Connection], object]) -> None:
        """Write in one transaction; into an empty file where this one is damaged."""
        try:
            self._write(write)
        except sqlite3.OperationalError:  # the disk is full, or another holds it
            raise
        except sqlite3.DatabaseError:
            self.close()
            self._delete()
            self._write(write)

    def _write(self, write: Callable[[sqlite3.Connection], object]) -> None:
        self._writer = self._writer or self._opened()
        with self._writer:
            self._writer.execute("begin immediate")
            write(self._writer)

    def _opened(self) -> sqlite3.Connection:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        writer = self._connected()
        form = writer.execute("pragma user_version").fetchone()[0]
        if form != _FORM:
            if form or writer.execute("select count(*) from sqlite_master").fetchone()[0]:
                writer.close()
                self._delete()
                writer = self._connected()
            writer.execute(f"pragma user_version = {_FORM}")
        for statement in TABLES:
            writer.execute(statement)
        return writer

    def _connected(self) -> sqlite3.Connection:
        writer = sqlite3.connect(self._file, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        writer.execute("pragma journal_mode = wal")
        writer.execute("pragma synchronous = normal")
        return writer

    def _reader(self) -> sqlite3.Connection:
        reader = sqlite3.connect(self._file, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        reader.execute("pragma query_only = on")
        reader.execute("begin")  # one state of the file, whatever is dropped meanwhile
        return reader

    def _delete(self) -> None:
        for ending in ("", "-wal", "-shm"):
            Path(f"{self._file}{ending}").unlink(missing_ok=True)


def _merged(reader: sqlite3.Connection, wanted: Wanted, most: int) -> Generator[tuple[object, ...], None, None]:
    """The rows of all segments in the order that is wanted, each from its segment when it is its turn."""
    condition, values = wanted.condition(lambda ms: ms)
    key = _KEYS[wanted.order]
    query = (
        f"select -{key}, {{}}, -number, {_names} from {{}} where {condition} order by {key} desc, number desc limit ?"
    )
    found = [reader.execute(query.format(-one.number, one.table), [*values, most]) for one in segments(reader)]
    yield from heapq.merge(*found, key=lambda row: row[:3])


def _found(row: Sequence[object]) -> Found:
    found = Found(*row[3:])  # type: ignore[arg-type]
    return found._replace(is_anomaly=bool(found.is_anomaly))
