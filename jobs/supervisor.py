"""Keeps streaming queries running: each on its own, started again after a failure, stopped between two micro-batches."""

import logging
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

from pyspark.errors import StreamingQueryException
from pyspark.sql import SparkSession
from pyspark.sql.streaming import StreamingQuery
from tenacity import RetryCallState, Retrying, retry_if_not_exception_type, wait_exponential

from jobs import logs
from jobs.errors import Fatal, Stopping, Unavailable
from jobs.session import build_session
from settings import Settings
from sinks.sink import SinkUnavailable

_log = logging.getLogger(__name__)

_CAUSE: Final = re.compile(r"(?:Caused by: )?(?:\w+\.)+[A-Z]\w*: \S")
_HEALTHY_SECONDS: Final = 60.0
_DATA_LOSS: Final = ("KAFKA_DATA_LOSS", "failOnDataLoss")
_FATAL_PAUSE_SECONDS: Final = 60.0

Starter = Callable[[SparkSession, Settings, "Gate"], StreamingQuery]


def run(settings: Settings, starters: dict[str, Starter], *checks: Callable[[], None]) -> int:
    """What an application's main does: logs, checks, then its queries until it is told to stop. Returns the exit status."""
    logs.set_up_logs(settings, next(iter(starters)))
    try:
        for check in checks:
            check()
        Supervisor(settings, starters).run()
    except Fatal as fatal:
        print(f"error: {fatal}", file=sys.stderr)
        return 1
    return 0


class Gate:
    """Where micro-batches pass before they begin; closed once the application has been asked to stop."""

    def __init__(self) -> None:
        self._closed = threading.Event()

    def close(self) -> None:
        """Let no further micro-batch begin."""
        self._closed.set()

    @property
    def closed(self) -> bool:
        """Whether the application has been asked to stop."""
        return self._closed.is_set()

    def wait(self, seconds: float) -> None:
        """Sleep, but no longer than until the gate closes."""
        self._closed.wait(seconds)

    def enter(self, query: str, micro_batch: int) -> None:
        """Called at the start of each micro-batch. Raises `Stopping` when closed: the batch is then run at the next start."""
        if self.closed:
            raise Stopping
        logs.query.set(query)
        logs.micro_batch.set(str(micro_batch))


class Supervisor:
    """One application's queries. A query that fails is started again with growing pauses; the others don't notice.

    The first starter is the application's own query: a `Fatal` of it ends the application. A `Fatal` of any other is
    logged, and after a long pause that query is tried again: panels must never end alerts.
    """

    def __init__(self, settings: Settings, starters: dict[str, Starter]) -> None:
        self._settings = settings
        self._starters = starters
        self._own = next(iter(starters))
        self._gate = Gate()
        self._started: set[str] = set()
        self._fatal: Fatal | None = None

    def run(self) -> None:
        """Run until SIGTERM or SIGINT. Raises `Fatal` where a query fails in a way that no further attempt can mend."""
        spark = build_session(self._settings, "+".join(self._starters))
        self._close_gate_on_signals(spark)
        threads = [
            threading.Thread(target=self._keep, args=(spark, name), name=name, daemon=True) for name in self._starters
        ]
        for thread in threads:
            thread.start()
        _join(threads)
        spark.stop()
        if self._fatal is not None:
            raise self._fatal

    def _keep(self, spark: SparkSession, name: str) -> None:
        logs.query.set(name)
        # A job's pool belongs to the thread that starts its query; fair pools let alerts pass while publish writes.
        spark.sparkContext.setLocalProperty("spark.scheduler.pool", name)
        while not self._gate.closed:
            self._keep_until_healthy(spark, name)

    def _keep_until_healthy(self, spark: SparkSession, name: str) -> None:
        """Start the query as often as it fails soon; returns after a late failure, so that pauses start small again."""
        retrying = Retrying(
            wait=wait_exponential(multiplier=1, max=30),
            retry=retry_if_not_exception_type((Fatal, Stopping)),
            sleep=self._gate.wait,
            before_sleep=_tell,
        )
        try:
            retrying(self._run_once, spark, name)
        except Stopping:
            pass
        except Fatal as fatal:
            self._stop_for(fatal, name)

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
        started = time.monotonic()
        query = self._start(spark, name)
        try:
            self._await(query)
        except StreamingQueryException as error:
            if self._gate.closed:
                raise Stopping from None
            if any(mark in str(error) for mark in _DATA_LOSS):
                raise Fatal(_data_loss(error, name)) from None
            if time.monotonic() - started < _HEALTHY_SECONDS:
                raise
            _tell_failure(error, 0.0)

    def _start(self, spark: SparkSession, name: str) -> StreamingQuery:
        try:
            query = self._starters[name](spark, self._settings, self._gate)
        except Exception as error:
            if name in self._started or isinstance(error, (Fatal, SinkUnavailable, Unavailable)):
                raise
            _log.exception("the first start failed")
            raise Fatal(f"{name} can't start: {first_line(error)}") from error  # what never ran is no passing failure
        _log.info("started")
        self._started.add(name)
        return query

    def _await(self, query: StreamingQuery) -> None:
        """Until the query fails, or the gate is closed and no micro-batch is running any more."""
        told = -1
        while not query.awaitTermination(1):
            told = _tell_progress(query, told)
            if self._gate.closed and not query.status["isTriggerActive"]:
                query.stop()
                raise Stopping

    def _close_gate_on_signals(self, spark: SparkSession) -> None:
        def close(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
            self._gate.close()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, close)
        _handle_in_jvm(spark, self._gate)


class _JvmHandler:
    """Java's sun.misc.SignalHandler: spark-submit's JVM gets the signal, not the Python process that it started."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    def handle(self, number: Any) -> None:
        self._gate.close()

    class Java:
        implements: Final = ["sun.misc.SignalHandler"]


def _join(threads: list[threading.Thread]) -> None:
    """Wait for the threads; leave at once where the JVM that started this process is gone, for nothing here can go on then."""
    jvm = os.getppid()
    for thread in threads:
        while thread.is_alive():
            thread.join(1)
            if os.getppid() != jvm:
                os._exit(1)


def _handle_in_jvm(spark: SparkSession, gate: Gate) -> None:
    from pyspark.java_gateway import ensure_callback_server_started

    jvm: Any = spark._jvm
    ensure_callback_server_started(spark.sparkContext._gateway)  # type: ignore[attr-defined]
    for name in ("TERM", "INT"):
        jvm.sun.misc.Signal.handle(jvm.sun.misc.Signal(name), _JvmHandler(gate))


def _tell_progress(query: StreamingQuery, told: int) -> int:
    """Log what the newest micro-batch did, if it has not been told yet; returns its number."""
    progress = query.lastProgress
    if progress is None or progress["batchId"] == told or not progress["numInputRows"]:
        return told
    logs.micro_batch.set(str(progress["batchId"]))
    took = ", ".join(f"{stage} {ms}" for stage, ms in progress["durationMs"].items())
    _log.info("%d records, %.0f a second; ms: %s", progress["numInputRows"], progress["processedRowsPerSecond"], took)
    return int(progress["batchId"])


def _tell(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    _tell_failure(error, state.next_action.sleep if state.next_action else 0.0)


def _tell_failure(error: BaseException | None, pause_seconds: float) -> None:
    _log.warning("failed: %s; starting again in %.0f s", first_line(error), pause_seconds)
    _log.info("the failure in full", exc_info=error)


def first_line(error: BaseException | None) -> str:
    """What an error says, in one line: of a stack trace, Java's or Python's or both, its last cause."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    causes = [line.removeprefix("Caused by: ") for line in lines if _CAUSE.match(line)]
    return (causes or lines or [type(error).__name__])[-1][:500]


def _data_loss(error: Exception, name: str) -> str:
    flag = "--accept-data-loss" if name == "detect" else f"--{name}-accept-data-loss"
    return (
        "Kafka no longer has records that were not read yet (retention was shorter than the job's pause): "
        f"{first_line(error)}. To go on with what is left, start with {flag} true"
    )
