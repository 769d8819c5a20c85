"""Where micro-batches pass before they begin, and where the queries report what they are doing."""

import functools
import threading
from collections.abc import Callable
from typing import Any, Final

from pyspark.sql import DataFrame

from jobs.runtime import logs
from jobs.runtime.errors import StartAgain, Stopping
from jobs.runtime.metering.meter import Meter

_MEMORY: Final = "OutOfMemoryError"

Write = Callable[[DataFrame, int], None]


class Gate:
    """Closed once the application has been asked to stop; from then on no micro-batch begins.

    meter: what the queries count, for Prometheus.
    """

    def __init__(self) -> None:
        self.meter = Meter()
        self._closed = threading.Event()
        self._checks: dict[str, Callable[[], None]] = {}
        self._errors: dict[str, BaseException] = {}
        self._facts: dict[str, dict[str, Any]] = {}
        self._again: dict[str, str] = {}
        self._short_of_memory: dict[str, int] = {}

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

    def check_first(self, query: str, check: Callable[[], None]) -> None:
        """Call `check` before each micro-batch of a query. What it raises ends the micro-batch before it has begun."""
        self._checks[query] = check

    def start_again(self, query: str, why: str) -> None:
        """Let a query be started again, with what it then finds, before its next micro-batch."""
        self._again[query] = why

    def enter(self, query: str, micro_batch: int) -> None:
        """Called at the start of each micro-batch. Raises `Stopping` when closed: the batch is then run at the next start.

        Raises `StartAgain` where the query is to be started again before it.
        """
        if self.closed:
            raise Stopping
        if query in self._again:
            raise StartAgain(self._again.pop(query))
        if query in self._checks:
            self._checks[query]()
        logs.query.set(query)
        logs.micro_batch.set(str(micro_batch))

    def guarded(self, query: str, write: Write) -> Write:
        """`write`, with the error that it raises kept: Spark passes on only its text."""

        @functools.wraps(write)
        def guarded(rows: DataFrame, micro_batch: int) -> None:
            try:
                write(rows, micro_batch)
            except BaseException as error:
                self._errors[query] = error
                if _MEMORY in str(error):
                    self._short_of_memory[query] = self.short_of_memory(query) + 1
                raise
            self._short_of_memory.pop(query, None)

        return guarded

    def take_error(self, query: str) -> BaseException | None:
        """What the query's last micro-batch raised, if it did; asked once."""
        return self._errors.pop(query, None)

    def short_of_memory(self, query: str) -> int:
        """How often in a row the micro-batch that is now tried again took more memory than Java has."""
        return self._short_of_memory.get(query, 0)

    def report(self, query: str, **facts: Any) -> None:
        """Report what the query uses (its model, its table, …), for its status."""
        self._facts.setdefault(query, {}).update(facts)

    def facts(self, query: str) -> dict[str, Any]:
        """What the query reported last."""
        return dict(self._facts.get(query, {}))
