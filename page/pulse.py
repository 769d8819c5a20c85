"""What an open page is sent a few times a second: how much there is now. The rows themselves it asks for."""

import threading
import time
from collections.abc import Callable
from typing import Final, NamedTuple

from sqlalchemy import func, select

from page.health import Health
from page.store.database import Database
from page.store.queue import Filter, count
from page.store.tables import alerts, history, outbox

PAUSE_SECONDS: Final = 0.4

_COUNT_AGAIN_SECONDS: Final = 5.0
"""After so long alerts are counted although nothing came and nobody did anything: a snooze may have ended."""


class Beat(NamedTuple):
    """newest: the number of the newest alert. open, cases: alerts that wait, in how many cases. done: the number of the newest
    thing that anybody did. unsent: verdicts that wait for Kafka. troubles: what does not work, in words."""

    newest: int
    open: int
    cases: int
    done: int
    unsent: int
    troubles: list[str]


class Pulse:
    """Counts at most every `PAUSE_SECONDS`, for all open pages together."""

    def __init__(self, database: Database, health: Health, clock: Callable[[], int]) -> None:
        self._database = database
        self._health = health
        self._clock = clock
        self._lock = threading.Lock()
        self._beat: Beat | None = None
        self._counted_at = self._all_counted_at = float("-inf")
        self._counted_for = (-1, -1)
        self._counts = (0, 0)
        self.stopped = threading.Event()

    def stop(self) -> None:
        """End the streams of all open pages."""
        self.stopped.set()

    def beat(self) -> Beat:
        """How much there is now."""
        with self._lock:
            if self._beat is None or time.monotonic() - self._counted_at >= PAUSE_SECONDS:
                self._beat = self._count()
                self._counted_at = time.monotonic()
            return self._beat

    def _count(self) -> Beat:
        with self._database.read() as connection:
            newest = connection.scalar(select(func.max(alerts.c.id))) or 0
            done = connection.scalar(select(func.max(history.c.id))) or 0
            unsent = connection.scalar(select(func.count()).where(outbox.c.sent_at.is_(None))) or 0
            if (newest, done) != self._counted_for or time.monotonic() - self._all_counted_at > _COUNT_AGAIN_SECONDS:
                self._counts = count(connection, Filter(), self._clock())
                self._counted_for, self._all_counted_at = (newest, done), time.monotonic()
        troubles = [f"{part.name}: {part.trouble}" for part in self._health.troubles()]
        return Beat(newest, *self._counts, done, unsent, troubles)
