"""All that the overview shows, gathered without waiting for anything slow."""

import sqlite3
from typing import Any, Final, NamedTuple

from ml.quality.intervals import Interval
from ml.schema import Event
from page.feed.events import NewestEvents
from page.health import Health
from page.overview import commands
from page.overview.bars import Bars, bars
from page.overview.questions import Answer, NoAnswer, Question
from page.overview.servers import Answered, servers
from page.overview.watcher import WatcherStatus, watcher_status
from page.search.kept_scores import Judged, KeptScores
from page.store.database import Database
from page.store.figures import Tally, by_hour, by_model, tally
from settings import Settings

HOURS: Final = 48
_SILENT: Final = 3
"""So many times later than it said it would look, a watcher counts as not running."""


class Precision(NamedTuple):
    """Of decided alerts the share that is fraud, with its 95 % interval; value is None where nothing is decided."""

    value: float | None
    low: float
    high: float
    decided: int


class Line(NamedTuple):
    """The health of one part. state: works, unavailable, unknown or none (it is not set up)."""

    name: str
    state: str
    words: str


class Shown(NamedTuple):
    """What the template needs. judges: who judged the newest transactions; watcher: or why nothing is known of one."""

    hours: Bars
    all: Tally
    precision: Precision
    models: list[tuple[int, Tally, Precision]]
    judges: list[Judged]
    quality: Answer
    watcher: WatcherStatus | None
    watcher_words: str
    events: list[Event]
    health: list[Line]
    asking: bool


class Overview:
    """Safe to use by several threads."""

    def __init__(
        self, settings: Settings, database: Database, health: Health, kept: KeptScores, events: NewestEvents
    ) -> None:
        self._settings, self._database, self._health, self._kept, self._events = (
            settings,
            database,
            health,
            kept,
            events,
        )
        self._quality = Question("quality", lambda: commands.quality(settings), 600.0)
        self._jobs = Question("jobs", lambda: commands.jobs(settings), 20.0)
        self._servers = Question("servers", lambda: servers(settings), 10.0)

    def shown(self, now: int) -> Shown:
        """Everything as it is now. now: ms since the epoch."""
        with self._database.read() as connection:
            hours, every, models = by_hour(connection, now, HOURS), tally(connection), by_model(connection)
        quality, jobs, answers = self._quality.answer(), self._jobs.answer(), self._servers.answer()
        watcher, words = _watcher(self._settings)
        first = quality.asking and quality.seconds is None
        return Shown(
            bars(hours),
            every,
            precision(every),
            [(version, one, precision(one)) for version, one in models],
            self._judges(),
            quality,
            watcher,
            words,
            self._events.newest()[:15],
            [*_own(self._health), *_jobs(jobs), *_servers(answers), _watching(watcher, words, now)],
            first or any(one.asking and one.seconds is None for one in (jobs, answers)),
        )

    def _judges(self) -> list[Judged]:
        try:
            return self._kept.judges()
        except sqlite3.Error:
            return []


def precision(of: Tally) -> Precision:
    """By what analysts said. The interval: C. J. Clopper, E. S. Pearson, Biometrika 26, 1934.

    >>> precision(Tally(10, 4, 3, 3, 0, 0.0))[:1], precision(Tally(10, 10, 0, 0, 0, 0.0))[:1]
    ((0.5,), (None,))
    """
    decided = of.fraud + of.honest
    found = Interval.of_share(of.fraud, decided)
    return Precision(found.value if decided else None, found.low, found.high, decided)


def _watcher(settings: Settings) -> tuple[WatcherStatus | None, str]:
    try:
        return watcher_status(settings.watch_folder), ""
    except NoAnswer as error:
        return None, str(error)


def _watching(status: WatcherStatus | None, words: str, now: int) -> Line:
    if status is None:
        return Line("watcher", "none", words)
    late = now - status.next_look
    if late > _SILENT * max(60_000, status.next_look - status.time):
        return Line("watcher", "unavailable", f"it has not looked for {(now - status.time) / 60_000:.0f} min")
    return Line("watcher", "works", f"{status.doing}: {status.why}")


def _own(health: Health) -> list[Line]:
    names = {"alerts": "feed of alerts", "payments": "feed of payments", "verdicts": "sending of verdicts"}
    return [
        Line(f"the page's {names.get(part.name, part.name)}", "unavailable" if part.trouble else "works", part.trouble)
        for part in health.parts()
    ]


def _jobs(answer: Answer) -> list[Line]:
    if answer.value is None:
        return [Line("job", *_not_known(answer))]
    return [Line(f"job: {one['query']}", *_query(one)) for one in answer.value]


def _query(one: dict[str, Any]) -> tuple[str, str]:
    at_most = "" if one.get("lag_exact", True) else "at most "
    lag = "" if one.get("lag") is None else f", {at_most}{one['lag']:,} records behind"
    if one.get("unhealthy"):
        return "unavailable", f"{one['unhealthy']}{lag}"
    return "works", f"{one['state']}{lag}"


def _servers(answer: Answer) -> list[Line]:
    if answer.value is None:
        return [Line("servers", *_not_known(answer))]
    found: list[Answered] = answer.value
    return [Line(*one) for one in found]


def _not_known(answer: Answer) -> tuple[str, str]:
    return ("unknown", "being asked") if answer.seconds is None else ("unavailable", answer.trouble)
