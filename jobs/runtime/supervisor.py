"""Keeps streaming queries running: each on its own, started again after a failure, stopped between two micro-batches."""

import functools
import logging
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from pyspark.errors import StreamingQueryException
from pyspark.sql import SparkSession
from pyspark.sql.streaming import StreamingQuery

from detection.errors import CheckpointIncomplete
from jobs.runtime import logs
from jobs.runtime.checkpoint import Checkpoint
from jobs.runtime.claim import CheckpointGone
from jobs.runtime.console import Console
from jobs.runtime.ending import Ending
from jobs.runtime.errors import Fatal, StartAgain, Stopping, Unavailable
from jobs.runtime.gate import Gate
from jobs.runtime.health import HealthFile
from jobs.runtime.known_causes import explain
from jobs.runtime.metering.finished import Finished
from jobs.runtime.metering.job import Watched, failed, show
from jobs.runtime.session import build_session
from jobs.runtime.trouble import Trouble
from ml.schema import Severity
from settings import Settings
from sinks.sink import SinkUnavailable
from versions.reports import reports

_log = logging.getLogger(__name__)

_FATAL_PAUSE_SECONDS: Final = 60.0
_TRIALS: Final = 3
"""How often in a row a query fails by a lasting cause before that is believed: a file may be missing for a moment."""

_WATCH_SECONDS: Final = 0.5
_BEAT_SECONDS: Final = 5.0

Starter = Callable[[SparkSession, Settings, Gate], StreamingQuery]

Recovery = Callable[[SparkSession, Settings, str, str, Gate], Exception | None]
"""(session, settings, query, what the failure said, gate) → what the query failed with; None for the failure itself."""


class Supervisor:
    """One application's queries. A query that fails is started again with growing pauses; the others don't notice.

    The first starter is the application's own query: a `Fatal` of it ends the application. A `Fatal` of any other is
    logged, and after a long pause that query is tried again: a failed panel must never end alerts.
    """

    def __init__(
        self,
        settings: Settings,
        starters: Mapping[str, Starter],
        recoveries: Mapping[str, Recovery],
        gate: Gate,
        ending: Ending,
    ) -> None:
        self._settings = settings
        self._starters = starters
        self._recoveries = recoveries
        self._own = next(iter(starters))
        self._gate = gate
        self._ending = ending
        self._running: dict[str, StreamingQuery] = {}
        self._started: set[str] = set()
        self._trouble: dict[str, Trouble] = {}
        self._finished: dict[str, Finished] = {}
        self._fatal: Fatal | None = None

    def run(self, jvm: Any) -> None:
        """Run until SIGTERM or SIGINT. Raises `Fatal` where the first query fails in a way that no further attempt can fix."""
        checkpoint = Checkpoint(self._settings, list(self._starters), jvm)
        checkpoint.take()
        try:
            self._run(checkpoint)
        finally:
            checkpoint.release()
        if self._fatal is not None:
            raise self._fatal

    def _run(self, checkpoint: Checkpoint) -> None:
        spark = build_session(self._settings, "+".join(self._starters), checkpoint.scratch)
        self._ending.on_hurry(self._break_off)
        watched: dict[str, Watched] = {}
        for name in self._starters:
            health = HealthFile(checkpoint.health, name, self._ending.jvm_pid)
            severity: Severity = "critical" if name == self._own else "warning"
            report = reports(self._settings, "detect", "no_progress", severity, f"query {name}")
            minutes = self._settings.stalled_after_minutes
            self._trouble[name] = Trouble(name, checkpoint.progress(name), health, minutes, report)
            self._gate.check_first(name, checkpoint.check)
            watched[name] = Watched(health, checkpoint.progress(name), functools.partial(self._gate.facts, name))
            self._finished[name] = Finished(name, self._gate.meter)
        show(self._settings, self._gate.meter, watched, self._ending.jvm_pid, checkpoint.local)
        queries, pid = list(self._starters), self._ending.jvm_pid
        console = Console(self._settings, queries, self._gate, pid, checkpoint.progress(self._own))
        threading.Thread(target=self._watch, args=(checkpoint, console), name="watch", daemon=True).start()
        threads = [
            threading.Thread(target=self._keep, args=(spark, name), name=name, daemon=True) for name in self._starters
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive():
                thread.join(1)
        spark.stop()

    def _watch(self, checkpoint: Checkpoint, console: Console) -> None:
        """Until the application ends: that the checkpoint is still its own, how the queries are, that no file grows."""
        beat = 0.0
        while True:
            try:
                checkpoint.check()
                if time.monotonic() - beat >= _BEAT_SECONDS:
                    beat = time.monotonic()
                    self._beat(console)
            except CheckpointGone as gone:
                self._leave(checkpoint, gone)
            except Exception:  # noqa: BLE001  # what watches must outlive whatever it meets
                _log.exception("the watch over the queries failed; it goes on")
            time.sleep(_WATCH_SECONDS)

    def _beat(self, console: Console) -> None:
        for name, trouble in self._trouble.items():
            trouble.beat(self._gate.facts(name))
        logs.keep_small(self._settings.log_dir / logs.WORKERS)
        if self._own in self._started and not self._gate.closed:
            console.report()

    def _leave(self, checkpoint: Checkpoint, gone: CheckpointGone) -> None:
        """End at once, before anything more is written to a checkpoint that is no longer this application's."""
        _log.error("%s", gone)
        print(f"error: {gone}", file=sys.stderr)
        self._ending.by_force(1, checkpoint.sweep)

    def _break_off(self) -> None:
        for name, query in list(self._running.items()):
            threading.Thread(target=_break_off, args=(query, name), daemon=True).start()

    def _keep(self, spark: SparkSession, name: str) -> None:
        logs.query.set(name)
        # A job's pool belongs to the thread that starts its query; fair pools let alerts pass while publish writes.
        spark.sparkContext.setLocalProperty("spark.scheduler.pool", name)
        trouble = self._trouble[name]
        while not self._gate.closed:
            try:
                self._run_once(spark, name)
            except Stopping:
                break
            except StartAgain as again:
                _log.info("starting again: %s", again)
            except (Fatal, CheckpointIncomplete) as error:
                fatal = error if isinstance(error, Fatal) else Fatal(str(error))
                trouble.fatal(fatal)
                failed(self._gate.meter, name, fatal)
                self._stop_for(fatal, name)
                if self._fatal is not None:
                    self._ending.fatal()  # another query may hang
            except Exception as error:  # noqa: BLE001  # whatever it is, the query is started again
                failed(self._gate.meter, name, error)
                self._gate.wait(trouble.failed(error))
        trouble.stopped()

    def _stop_for(self, fatal: Fatal, name: str) -> None:
        """End the application where its own query can't go on; of another query, wait before it is tried again."""
        if name == self._own:
            _log.error("%s", fatal)
            self._fatal = fatal
            self._gate.close()
        else:
            _log.error("%s; %s goes on; trying again in %.0f s", fatal, self._own, _FATAL_PAUSE_SECONDS)
            self._gate.wait(_FATAL_PAUSE_SECONDS)

    def _run_once(self, spark: SparkSession, name: str) -> None:
        if self._gate.closed:
            raise Stopping
        self._gate.take_error(name)
        query = self._start(spark, name)
        self._running[name] = query
        try:
            self._await(query, name)
        except StreamingQueryException as error:
            raise self._reason(spark, error, name) from None
        finally:
            del self._running[name]

    def _reason(self, spark: SparkSession, error: StreamingQueryException, name: str) -> Exception:
        """What a query ended with: what its micro-batch raised, where it did, since Spark passes on only its text."""
        if self._gate.closed:
            return Stopping()
        raised = self._gate.take_error(name)
        if isinstance(raised, (Fatal, CheckpointIncomplete, Stopping, StartAgain)):
            return raised
        cause = raised if isinstance(raised, Exception) else error
        explanation = explain(cause)
        recover = None if explanation.known is None else self._recoveries.get(explanation.known.name)
        if recover is not None:
            return recover(spark, self._settings, name, explanation.said, self._gate) or cause
        if explanation.known is not None and explanation.known.lasting and self._trouble[name].attempts >= _TRIALS - 1:
            return Fatal(str(explanation))
        return cause

    def _start(self, spark: SparkSession, name: str) -> StreamingQuery:
        try:
            query = self._starters[name](spark, self._settings, self._gate)
        except Exception as error:
            if name in self._started or isinstance(error, (Fatal, CheckpointIncomplete, SinkUnavailable, Unavailable)):
                raise
            _log.info("the first start failed", exc_info=error)
            raise Fatal(f"{name} can't start: {explain(error)}") from error  # what never ran will not recover by itself
        _log.info("started")
        self._started.add(name)
        return query

    def _await(self, query: StreamingQuery, name: str) -> None:
        """Until the query fails, is stopped by what watches its topics, or the gate is closed and no micro-batch is running."""
        trouble = self._trouble[name]
        while not query.awaitTermination(1):
            busy = query.status["isTriggerActive"]
            trouble.look(query.lastProgress, busy, query.status["message"])
            self._count(query, name)
            if self._gate.closed and not busy:
                query.stop()
                raise Stopping

    def _count(self, query: StreamingQuery, name: str) -> None:
        """Count what it finished, for Prometheus, where that is shown."""
        if self._settings.metrics_port:
            try:
                self._finished[name].look(query._jsq)
            except Exception:  # noqa: BLE001  # a figure must never end a query
                _log.info("a micro-batch is not in the metrics", exc_info=True)


def _break_off(query: StreamingQuery, name: str) -> None:
    logs.query.set(name)
    _log.warning("the micro-batch is not finished in time: it is left to the next start, which repeats it")
    try:
        query.stop()
    except Exception as error:  # noqa: BLE001  # it hangs where something is unavailable; the application then ends by force
        _log.info("it cannot be aborted: %s", explain(error))
