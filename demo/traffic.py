"""Plays a run's chapters: the traffic of each, one after the other, until everything is scored."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

from demo.chapters import Planned
from demo.display import Display
from demo.environment import Environment
from demo.programs import POLL_SECONDS
from demo.snapshot import Snapshot
from demo.story import Story
from demo.summary import PATIENCE_SECONDS
from demo.watcher import Watcher
from generator.report import Report
from programs.interruption import Interruption

LOOK_SECONDS: Final = 0.5
GENERATOR_PATIENCE_SECONDS: Final = 60.0
WARM_UP_SECONDS: Final = 30.0
OVERDUE_SECONDS: Final = 5.0
"""So long after its time a generator that could not keep the rate is ended, instead of sending the rest too late."""


class Traffic:
    """The traffic of one run, of so many transactions a second."""

    def __init__(self, environment: Environment, rate: float, story: Story, watcher: Watcher, display: Display) -> None:
        self._environment = environment
        self._rate = rate
        self._story = story
        self._watcher = watcher
        self._display = display
        self._ended_early = False
        self._idle_until = 0.0

    def play(self, chapters: Sequence[Planned], interruption: Interruption) -> float:
        """All chapters, or until a person ends them; returns for how many seconds the generator was to send."""
        seconds = 0.0
        for part in chapters:
            seconds += self._chapter(part, interruption)
            if self._ended_early:
                break
        self._await_scores()
        return seconds

    def _chapter(self, part: Planned, interruption: Interruption) -> float:
        """One chapter's traffic, from the start of its generator until that has sent everything; returns its seconds."""
        generator = self._environment.generator
        arguments = self._arguments(part.seconds) + self._story.begin(part.chapter)
        self._display.chapter = part.chapter.title
        generator.start(arguments, self._environment.settings().environment())
        started, began = time.monotonic(), self._watcher.snapshot
        while generator.running and not interruption.requested.is_set():
            if time.monotonic() - started < 2 * LOOK_SECONDS:  # the snapshot still counts what came before
                began = self._watcher.snapshot
            self._look(_traffic_in_words(self._watcher.snapshot, began))
            if self._watcher.snapshot.arrived:  # before, there is nothing to end in order
                interruption.orderly()
            if self._is_over(began, part.seconds):
                break
            interruption.requested.wait(LOOK_SECONDS)
        self._ended_early |= interruption.requested.is_set()
        generator.terminate()
        self._await_generator()
        return self._sent_seconds(part)

    def _arguments(self, seconds: float) -> list[str]:
        until = ["--duration", f"{seconds:g}"] if seconds else []
        history = str(self._environment.folder.history)
        return ["generator", "send", "--rate", f"{self._rate:g}", *until, "--history", history, "--json"]

    def _is_over(self, began: Snapshot, planned_seconds: float) -> bool:
        """Whether the chapter has to end although the generator would go on."""
        snapshot = self._watcher.snapshot
        if snapshot.clock is not None and snapshot.clock > datetime.now(UTC):
            self._story.say("the simulated clock has reached the present: the traffic ends here")
            self._ended_early = True
        if snapshot.arrived == began.arrived:
            self._idle_until = snapshot.seconds
        took = snapshot.seconds - self._idle_until
        return self._ended_early or bool(planned_seconds and took > planned_seconds + OVERDUE_SECONDS)

    def _await_generator(self) -> None:
        generator, deadline = self._environment.generator, time.monotonic() + GENERATOR_PATIENCE_SECONDS
        while generator.running and time.monotonic() < deadline:
            self._look("the generator is ending")
            time.sleep(LOOK_SECONDS)
        generator.end(1.0)
        generator.check_ended_well()

    def _sent_seconds(self, part: Planned) -> float:
        """How long the generator was to send; what it says itself, on its last line, where it was ended before."""
        if part.seconds and not self._ended_early:
            return part.seconds
        lines = self._environment.generator.output.strip().splitlines()
        return msgspec.json.decode(lines[-1], type=Report).seconds

    def _await_scores(self) -> None:
        """Until everything that was sent is scored, or a minute has passed."""
        settled, deadline = time.monotonic() + 2 * LOOK_SECONDS, time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < settled or (self._watcher.snapshot.lag and time.monotonic() < deadline):
            self._look("traffic has ended, the last of it is being scored")
            time.sleep(POLL_SECONDS)
        self._look("traffic has ended")

    def _look(self, doing: str) -> None:
        self._environment.check()
        for server in (self._environment.service, self._environment.page):
            trouble = server.trouble()
            if trouble is not None:
                self._story.say(trouble)
        self._watcher.check()
        self._story.look()
        self._display.show(self._watcher.snapshot, doing, self._story.outcome)


def _traffic_in_words(snapshot: Snapshot, began: Snapshot) -> str:
    if snapshot.arrived == began.arrived:
        return "the generator is starting"
    if snapshot.seconds < WARM_UP_SECONDS and snapshot.scored_per_second < snapshot.arrived_per_second / 2:
        return "the job is warming up"
    return "transactions are being scored"
