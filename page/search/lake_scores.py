"""Searches of the lake: the newest days first, a few at once, each stopped at its time limit."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotDone
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import Final

import duckdb
from deltalake.exceptions import DeltaError

from lake.commits import all_rows
from lake.maintenance import one_line, tables
from lake.place import LakeUnusable, Place
from lake.rows import DAY, SCORE_ROW, SCORES
from page.errors import Refused, TooSlow
from page.search.wanted import COLUMNS, Found, Wanted

AT_ONCE: Final = 2
"""Searches of the lake at the same time, exports too; more are refused, so that they never take all CPU and memory."""

_ROWS: Final = 1_000
_GRACE_SECONDS: Final = 1.0
"""So long a stopped search may take to end before nobody waits for it any more."""
_SQL: Final = {name: "epoch_ms(event_time)" if name == "event_time" else f'"{name}"' for name in COLUMNS}
_ORDERS: Final = {
    "time": 'event_time desc, "partition" desc, "offset" desc',
    "score": "anomaly_score desc, event_time desc",
}


class LakeScores:
    """Safe to use by several threads."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._free = threading.BoundedSemaphore(AT_ONCE)
        self._workers = ThreadPoolExecutor(AT_ONCE, "lake search")

    def find(self, wanted: Wanted, limit: int, skip: int, seconds: float) -> list[Found]:
        """Those of a search from a place on. Raises `TooSlow`, `LakeUnusable`, and `Refused` where too many search."""
        if not self._free.acquire(blocking=False):
            raise Refused("others are searching the lake: ask again in a moment", 503)

        def work() -> list[Found]:
            try:
                found = [one for some in self._rows(wanted, skip + limit, seconds) for one in some]
                return found[skip:]
            finally:
                self._free.release()

        try:
            return self._workers.submit(work).result(seconds + _GRACE_SECONDS)
        except NotDone:  # the lake's store does not answer: the search ends by itself, and holds its place until then
            raise TooSlow(seconds) from None

    def rows(self, wanted: Wanted, limit: int, seconds: float) -> Iterator[list[Found]]:
        """The same, in pieces, in the thread that asks for them."""
        if not self._free.acquire(blocking=False):
            raise Refused("others are searching the lake: ask again in a moment", 503)
        try:
            yield from self._rows(wanted, limit, seconds)
        finally:
            self._free.release()

    def _rows(self, wanted: Wanted, limit: int, seconds: float) -> Iterator[list[Found]]:
        deadline = time.monotonic() + seconds
        try:
            with closing(duckdb.connect()) as lake, stopped_at(lake, deadline):
                yield from self._parts(lake, wanted, limit)
        except duckdb.InterruptException:
            raise TooSlow(seconds) from None
        except (duckdb.Error, DeltaError, OSError) as error:
            raise LakeUnusable(f"the lake can't be read: {one_line(error)}") from error

    def _parts(self, lake: duckdb.DuckDBPyConnection, wanted: Wanted, limit: int) -> Iterator[list[Found]]:
        """By groups of days that grow, as long as fewer were found than are asked for; by score all days together."""
        table = tables(self._place).get(SCORES)
        if table is None:
            return
        for statement in ("set timezone = 'UTC'", "set threads = 1", "set memory_limit = '1GB'"):
            lake.execute(statement)
        lake.register("scores", all_rows(table, SCORE_ROW))
        days = sorted({part[DAY] for part in table.partitions()}, reverse=True)
        condition, values = wanted.condition(lambda ms: datetime.fromtimestamp(ms / 1000, UTC))
        columns, size = ", ".join(_SQL.values()), len(days) if wanted.order == "score" else 1
        while days and limit > 0:
            group, days = days[:size], days[size:]
            of_days = f"{DAY} between date '{group[-1]}' and date '{group[0]}'"
            lake.execute(
                f"select {columns} from scores where {of_days} and {condition} order by {_ORDERS[wanted.order]} limit {limit}",
                values,
            )
            while some := lake.fetchmany(_ROWS):
                limit -= len(some)
                yield [Found(*row) for row in some]
            size *= 2


@contextmanager
def stopped_at(lake: duckdb.DuckDBPyConnection, deadline: float) -> Iterator[None]:
    """What the connection does is interrupted at a time of the monotonic clock, again and again until it ends."""
    ended = threading.Event()

    def watch() -> None:
        pause = max(0.0, deadline - time.monotonic())
        while not ended.wait(pause):
            lake.interrupt()
            pause = 0.1

    watcher = threading.Thread(target=watch, name="time limit of a lake search", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
