"""What happens in a run's chapters besides the traffic, and what of it a person is to know."""

import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import TracebackType
from typing import Final, Self

from demo.chapters import ATTACK, DRIFT, LABELS, STANDARD, Chapter
from demo.drift_watch import DriftWatch, in_words
from demo.environment import Environment
from demo.folder import LIVE_START
from demo.parts import Wave
from demo.promotion import Promotion
from demo.watcher import Watcher
from ml.drift.alarms import Alarm

_LEAST_BEFORE: Final = timedelta(minutes=20)
"""Simulated time of ordinary traffic before the wave or the shift of a chapter: these begin at the next full hour."""


@dataclass
class Outcome:
    """What the story came to, for the summary: all of it measured in the run."""

    events: list[tuple[float, str]] = field(default_factory=list)
    """When, in monotonic seconds, and what."""
    learned: set[int] = field(default_factory=set)
    """The versions that have seen labels."""
    promoted: float | None = None
    not_promoted: str | None = None
    wave: Wave | None = None
    drift_begins: datetime | None = None
    alarm: Alarm | None = None


class Story:
    """As a context manager: what runs in the background is ended with it. say is called for what happens, from any thread."""

    def __init__(self, environment: Environment, watcher: Watcher) -> None:
        self.chapter: Chapter | None = None
        self.outcome: Final = Outcome()
        self._environment = environment
        self._watcher = watcher
        self._running = ExitStack()
        self._promotion: Promotion | None = None
        self._drift: DriftWatch | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.close()
        if error is None:
            self.look()
        self.outcome.wave = self._watcher.snapshot.wave

    def begin(self, chapter: Chapter) -> list[str]:
        """Begin a chapter, whose traffic is started next; returns what the generator is to be called with for it."""
        self.chapter = chapter
        self._watcher.tally.parts.begin_chapter(chapter.name, int(time.time() * 1000))
        if chapter is LABELS:
            self._promotion = Promotion(self._environment, lambda: self._watcher.snapshot.scored, self.say)
            self._running.enter_context(self._promotion)
        clock = self._watcher.snapshot.clock
        options = [] if clock is None else ["--resume"]
        if chapter.traffic == STANDARD:
            return options
        begins = _full_hour((LIVE_START if clock is None else clock) + _LEAST_BEFORE)
        if chapter is ATTACK:
            self._watcher.tally.wave_since = begins
        if chapter is DRIFT:
            self.outcome.drift_begins = begins
            since = LIVE_START if clock is None else clock
            self._drift = self._running.enter_context(DriftWatch(self._environment.settings(), since))
        self.say(f"the {'wave' if chapter is ATTACK else 'shift'} begins at {begins:%H:%M} (simulated)")
        return [*options, "--scenario", chapter.traffic, "--begins", begins.isoformat()]

    def say(self, what: str) -> None:
        """Something has happened."""
        self.outcome.events.append((time.monotonic(), what))

    def look(self) -> None:
        """Take in what the background has come to. Raises what ended it, if it failed."""
        outcome = self.outcome
        if self._promotion is not None:
            self._promotion.check()
            steps = self._promotion.steps
            if steps.version is not None:
                outcome.learned.add(steps.version)
            outcome.promoted, outcome.not_promoted = steps.promoted, steps.refused
        if self._drift is not None:
            self._drift.check()
            if outcome.alarm is None and self._drift.alarm is not None and outcome.drift_begins is not None:
                outcome.alarm = self._drift.alarm
                self.say(in_words(outcome.alarm, outcome.drift_begins))


def _full_hour(time: datetime) -> datetime:
    """The first full hour from a time on."""
    hour = time.replace(minute=0, second=0, microsecond=0)
    return hour if hour == time else hour + timedelta(hours=1)
