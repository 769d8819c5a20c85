"""What is wrong with a query: how often it failed, since when and where, or that nothing progresses; reported once a minute."""

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from jobs.runtime import logs
from jobs.runtime.errors import Fatal
from jobs.runtime.health import HealthFile
from jobs.runtime.known_causes import explain
from jobs.runtime.progress import Progress
from versions.reports import Report, no_report

_log = logging.getLogger(__name__)

_SAY_AGAIN_SECONDS: Final = 60.0
_LONGEST_PAUSE_SECONDS: Final = 30.0
_REPORTED_ATTEMPTS: Final = 3
"""After so many failures in a row people hear of it by an event: after one the next start goes on."""


class Trouble:
    """Of one query. progress: reads how far it has come; its errors do not matter here."""

    def __init__(
        self,
        name: str,
        progress: Callable[[], Progress],
        health: HealthFile,
        stalled_after_minutes: float,
        report: Report = no_report,
    ) -> None:
        self._name = name
        self._progress = progress
        self._health = health
        self._stalled_after_seconds = 60 * stalled_after_minutes
        self._attempts = 0
        self._failing_since: float | None = None
        self._said: tuple[str, float] = "", 0.0
        self._alive: tuple[Any, float] = None, time.monotonic()
        self._told: int | None = None
        self._report = report
        self._reported = False

    @property
    def attempts(self) -> int:
        """How often it has failed since its last progress."""
        return self._attempts

    def failed(self, error: Exception) -> float:
        """The query failed. Returns the pause before its next start, in seconds."""
        self._attempts += 1
        self._failing_since = self._failing_since or time.time()
        pause = min(2.0 ** (self._attempts - 1), _LONGEST_PAUSE_SECONDS)
        explanation = explain(error)
        cause = str(explanation)
        kind = explanation.said if explanation.known is None else explanation.known.name
        self._say(kind, f"failed: {cause}{self._place()}; {self._since()}starting again in {pause:.0f} s")
        _log.info("the failure in full", exc_info=error)
        if self._attempts >= _REPORTED_ATTEMPTS:
            self._report_once(f"fails again and again: {cause}")
        self._health.change(
            state="failing", attempts=self._attempts, failing_since=self._failing_since, cause=cause, **self._where()
        )
        return pause

    def fatal(self, fatal: Fatal) -> None:
        """The query failed in a way that no further attempt can fix, as things are."""
        self._attempts += 1
        self._failing_since = self._failing_since or time.time()
        self._report_once(str(fatal))
        self._health.change(
            state="ended", attempts=self._attempts, failing_since=self._failing_since, cause=str(fatal), **self._where()
        )

    def stopped(self) -> None:
        """The query was asked to stop, and did."""
        if self._health.health.state == "ended":
            return
        self._health.change(state="stopped")

    def look(self, progress: Any, busy: bool, doing: str) -> None:
        """Once a second: the newest progress that Spark reports, whether a micro-batch is running, and what it is at."""
        if progress is not None:
            self._tell_progress(progress)
        mark = None if progress is None else (progress["batchId"], progress["timestamp"])
        now = time.monotonic()
        if mark != self._alive[0] or not busy:
            if mark is not None and mark != self._alive[0]:
                self._recovered()
            self._alive = mark, now
        elif now - self._alive[1] > self._stalled_after_seconds:
            minutes = (now - self._alive[1]) / 60
            cause = f"no progress for {minutes:.0f} min, at: {doing}"
            self._say("stalled", f"{cause}{self._place()}")
            self._report_once(cause)
            self._health.change(
                state="stalled", failing_since=time.time() - (now - self._alive[1]), cause=cause, **self._where()
            )

    def beat(self, facts: dict[str, Any]) -> None:
        """Every few seconds: renew the query's health file."""
        progress = self._progress()
        self._health.change(committed=progress.committed, committed_at=progress.committed_at, facts=facts)
        self._health.beat()

    def _report_once(self, words: str) -> None:
        """Report that there is no progress, until there is some again."""
        if not self._reported:
            self._reported = True
            self._report(words, False)

    def _recovered(self) -> None:
        if self._reported:
            self._reported = False
            self._report("goes on", True)
        if self._failing_since is not None or self._health.health.state == "stalled":
            _log.info("goes on")
        self._attempts, self._failing_since, self._said = 0, None, ("", 0.0)
        self._health.change(state="running", attempts=0, failing_since=None, cause=None, micro_batch=None, offsets=None)

    def _tell_progress(self, progress: Any) -> None:
        """Log what the newest micro-batch did, once."""
        if progress["batchId"] == self._told or not progress["numInputRows"]:
            return
        self._told = progress["batchId"]
        logs.micro_batch.set(str(self._told))
        took = ", ".join(f"{stage} {ms}" for stage, ms in progress["durationMs"].items())
        records, rate = progress["numInputRows"], progress["processedRowsPerSecond"]
        _log.info("%d records, %.0f a second; ms: %s", records, rate, took)

    def _say(self, what: str, line: str) -> None:
        """Warn at the first time and then once a minute; in between it goes to the log file alone."""
        now = time.monotonic()
        new = what != self._said[0] or now - self._said[1] >= _SAY_AGAIN_SECONDS
        _log.log(logging.WARNING if new else logging.INFO, "%s", line)
        if new:
            self._said = what, now

    def _since(self) -> str:
        if self._attempts < 2:
            return ""
        since = datetime.fromtimestamp(self._failing_since or 0, UTC).strftime("%H:%M:%S UTC")
        return f"attempt {self._attempts} since {since}; "

    def _where(self) -> dict[str, Any]:
        progress = self._progress()
        return {"micro_batch": progress.planned, "offsets": progress.planned_end or None}

    def _place(self) -> str:
        """The micro-batch that is meant, with its offsets, where Spark has planned one."""
        progress = self._progress()
        if progress.planned is None:
            return ""
        ranges = [
            f"{topic}/{partition} {progress.read.get(topic, {}).get(partition, 0)}–{end}"
            for topic, ends in progress.planned_end.items()
            for partition, end in ends.items()
            if end > progress.read.get(topic, {}).get(partition, 0)
        ]
        shown = ", ".join(ranges[:8]) + (f" and {len(ranges) - 8} more" if len(ranges) > 8 else "")
        return f" [micro-batch {progress.planned}: {shown or 'no records'}]"
