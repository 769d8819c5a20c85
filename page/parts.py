"""What the page's answers share: store, feeds, settings and clock."""

import time
from dataclasses import dataclass, field
from typing import Final

from fastapi import Request

from page.feed.alerts import AlertFeed
from page.feed.recent import Recent, RecentFeed
from page.feed.verdicts import VerdictSender
from page.feed.worker import Worker
from page.health import Health
from page.past import Pasts
from page.pulse import Pulse
from page.store.database import Database
from settings import Settings

STORE_FILE: Final = "cases.db"


def now_ms() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


@dataclass
class Parts:
    """The parts of one page. workers: the threads that read and send, in the order in which they start."""

    settings: Settings
    database: Database
    health: Health
    recent: Recent
    pasts: Pasts
    pulse: Pulse
    workers: list[Worker] = field(default_factory=list)

    @classmethod
    def of(cls, settings: Settings, database: Database) -> "Parts":
        """All parts, not started."""
        health, recent = Health(), Recent()
        workers: list[Worker] = [AlertFeed(settings, database, health, now_ms)]
        feed = RecentFeed(settings, recent, health, time.sleep)
        workers += [feed, VerdictSender(settings, database, health, now_ms)]
        return cls(
            settings, database, health, recent, Pasts(settings.lake, recent), Pulse(database, health, now_ms), workers
        )

    def start(self) -> None:
        """Start the threads."""
        for worker in self.workers:
            worker.start()

    def close(self) -> None:
        """End the threads, then the store."""
        self.pulse.stop()
        for worker in reversed(self.workers):
            worker.stopped.set()
        for worker in reversed(self.workers):
            worker.stop()
        self.database.close()


def address_of(settings: Settings) -> str:
    """Where the case store is: the setting, else a file in the page's folder."""
    if settings.page_database is not None:
        return settings.page_database.get_secret_value()
    return f"sqlite:///{settings.page_data / STORE_FILE}"


def parts_of(request: Request) -> Parts:
    """The parts of the page that a request is for."""
    parts: Parts = request.app.state.parts
    return parts
