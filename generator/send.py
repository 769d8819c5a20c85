"""Live traffic: sends the stream to Kafka at a steady rate, the truth about its fraud at once and the labels when they are due.

The transactions leave in the order of simulated time, so many a second, and the simulated clock follows from them: at a rate
of 500 the 50,000 customers with their 1.7 transactions a second live some 290 times faster than the wall clock, faster at
night and slower in the afternoon, and each keeps its natural rhythm.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain, islice

from generator.labels import LateLabels
from generator.producer import Outbox
from generator.records import Records, label_value, records
from generator.report import Report, Tally, time_of
from generator.stream import Batch
from ml.schema import Label

TICK_SECONDS = 0.005
HOURS_AHEAD = 3  # simulated hours that are made and encoded before they are needed
ROWS_AT_ONCE = 2_000  # between two looks at the clock


@dataclass(frozen=True)
class Topics:
    """The topics' names."""

    transactions: str
    labels: str
    truth: str


@dataclass(frozen=True)
class SendOptions:
    """How fast, and how much.

    rate: transactions a second, 0 for as fast as possible; seconds, count: when it ends, whichever comes first (None: not
    for this reason); flush_labels: send the labels that are not due yet at the end, instead of leaving them unsent.
    """

    rate: float
    seconds: float | None = None
    count: int | None = None
    flush_labels: bool = False

    @property
    def most(self) -> float:
        """The most transactions that this sends; infinity where only the clock, or a person, ends it."""
        by_clock = round(self.rate * self.seconds) if self.rate and self.seconds is not None else float("inf")
        return min(by_clock, float("inf") if self.count is None else self.count)


@dataclass
class Sender:
    """Sends batches to Kafka as planned. `run` may be called in a thread of its own, and `stop` from anywhere.

    A transaction's Kafka timestamp is the time at which it should have left: a sender that falls behind hides nothing. It
    catches up as fast as it can.
    """

    outbox: Outbox
    batches: Iterable[Batch]
    labels: LateLabels
    plan: SendOptions
    topics: Topics
    progress: Callable[[Report], None] = lambda report: None
    progress_seconds: float = 1.0

    def __post_init__(self) -> None:
        self._stopped = threading.Event()
        self._tally = Tally()
        self._started_ms, self._started, self._next_progress = 0.0, time.perf_counter(), 0.0

    def stop(self) -> None:
        """End soon: what has left is delivered and reported."""
        self._stopped.set()

    def run(self) -> Report:
        """Send everything planned, wait until Kafka has it, and say what was sent.

        Raises DeliveryFailed when a record did not reach Kafka.
        """
        with _encoded_ahead(self.batches) as hours:
            first = list(islice(hours, 1))  # before the clock starts
            self._started_ms, self._started = time.time() * 1000, time.perf_counter()
            self._next_progress = self.progress_seconds
            for hour in chain(first, hours):
                for start, end in self._portions(len(hour.values)):
                    self._send(hour, start, end)
                if self._over():
                    break
        if self.plan.flush_labels:
            self._send_labels(datetime.max.replace(tzinfo=UTC))
        self.outbox.close()
        return self.report()

    def report(self) -> Report:
        """What has been sent by now."""
        # The last transaction of a paced run leaves before its share of the time is over.
        planned = self._tally.sent / self.plan.rate if self.plan.rate else 0.0
        return self._tally.report(max(self._now(), planned), len(self.labels))

    def _now(self) -> float:
        return time.perf_counter() - self._started

    def _over(self) -> bool:
        full_speed_over = not self.plan.rate and self.plan.seconds is not None and self._now() >= self.plan.seconds
        return self._stopped.is_set() or self._tally.sent >= self.plan.most or full_speed_over

    def _portions(self, rows: int) -> Iterator[tuple[int, int]]:
        """Slices of an hour's rows, each when it is due; fewer than all when the plan is over before."""
        row = 0
        while row < rows and not self._over():
            due = int(self._now() * self.plan.rate) + 1 - self._tally.sent if self.plan.rate else ROWS_AT_ONCE
            n = int(min(due, ROWS_AT_ONCE, rows - row, self.plan.most - self._tally.sent))
            if n > 0:
                yield row, row + n
                row += n
            else:
                self._stopped.wait(TICK_SECONDS)
            self._housekeeping()

    def _send(self, hour: Records, start: int, end: int) -> None:
        if self.plan.rate:
            sent, step = self._tally.sent, 1000 / self.plan.rate
            timestamps = [int(self._started_ms + (sent + i) * step) for i in range(end - start)]
        else:
            timestamps = [int(time.time() * 1000)] * (end - start)
        self.outbox.put_all(self.topics.transactions, hour.keys[start:end], hour.values[start:end], timestamps)
        self._tally.transactions(end - start, int(hour.times[start]), int(hour.times[end - 1]))
        for row, label in hour.truth.items():
            if start <= row < end:
                self._put_label(self.topics.truth, label, timestamps[row - start])
                self._tally.truth(label)
        for row, labels in hour.labels.items():
            if start <= row < end:
                for label in labels:
                    self.labels.add(label)

    def _housekeeping(self) -> None:
        now = self._now()
        if self._tally.sent:
            self._send_labels(time_of(self._tally.last_ms))
        self.outbox.poll()
        if now >= self._next_progress:
            self._next_progress = now - now % self.progress_seconds + self.progress_seconds
            self.progress(self.report())

    def _send_labels(self, now: datetime) -> None:
        """Send the labels due by this simulated time."""
        for label in self.labels.due(now):
            self._put_label(self.topics.labels, label, int(time.time() * 1000))
            self._tally.labels_sent += 1

    def _put_label(self, topic: str, label: Label, timestamp_ms: int) -> None:
        self.outbox.put_all(topic, [label.customer_id.encode()], [label_value(label)], [timestamp_ms])


@contextmanager
def _encoded_ahead(batches: Iterable[Batch]) -> Iterator[Iterator[Records]]:
    """The batches as records, made in a thread of their own, a few ahead of the one in use."""
    source = iter(batches)

    def make() -> Records | None:
        batch = next(source, None)
        return None if batch is None else records(batch)

    with ThreadPoolExecutor(1, "generator") as maker:
        coming = deque(maker.submit(make) for _ in range(HOURS_AHEAD))

        def ready() -> Iterator[Records]:
            while (made := coming.popleft().result()) is not None:
                coming.append(maker.submit(make))
                yield made

        try:
            yield ready()
        finally:
            for future in coming:
                future.cancel()
