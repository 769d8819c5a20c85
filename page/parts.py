"""What the page's answers share: store, feeds, settings and clock."""

import time
from dataclasses import dataclass, field
from typing import Final

from fastapi import Request

from lake.place import Place
from page.feed.alerts import AlertFeed
from page.feed.events import EventFeed, NewestEvents
from page.feed.recent import Recent, RecentFeed
from page.feed.verdicts import VerdictSender
from page.feed.worker import Worker
from page.health import Health
from page.overview.overview import Overview
from page.past import Pasts
from page.pulse import Pulse
from page.search.kept_scores import KeptScores
from page.search.lake_scores import LakeScores
from page.search.searches import Searches
from page.store.database import Database
from settings import Settings

STORE_FILE: Final = "cases.db"
SCORES_FILE: Final = "scores.db"


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
    kept: KeptScores
    searches: Searches
    overview: Overview
    workers: list[Worker] = field(default_factory=list)

    @classmethod
    def of(cls, settings: Settings, database: Database) -> "Parts":
        """All parts, not started."""
        health, recent = Health(), Recent()
        workers: list[Worker] = [AlertFeed(settings, database, health, now_ms)]
        kept = KeptScores(
            settings.page_data / SCORES_FILE, settings.page_search_transactions, settings.page_search_hours, now_ms
        )
        lake = None if settings.lake is None else LakeScores(Place(settings.lake))
        feed = RecentFeed(settings, recent, kept, health, time.sleep)
        events = NewestEvents()
        workers += [feed, EventFeed(settings, events, health), VerdictSender(settings, database, health, now_ms)]
        return cls(
            settings,
            database,
            health,
            recent,
            Pasts(settings.lake, recent),
            Pulse(database, health, now_ms),
            kept,
            Searches(kept, lake, settings.page_search_seconds),
            Overview(settings, database, health, kept, events),
            workers,
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
        self.kept.close()
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
