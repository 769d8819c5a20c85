"""A data set into Kafka: transactions at N times the pace they once had, the truth at once, labels when they are due."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa

from generator.arrays import Array
from generator.labels import LateLabels, Reporting
from generator.producer import Outbox
from generator.records import Records, label_value, records
from generator.replay.fit import ROW, extra_columns
from generator.replay.labels import fraud_rows, label_table, truth_table
from generator.replay.order import Place
from generator.replay.place import KeptPlace
from generator.replay.rejects import Rejects
from generator.replay.stream import DataSet, Reached
from generator.report import time_of
from generator.send import Topics
from generator.stream import Batch
from ml.schema import TRANSACTION_FIELDS, Label

ROWS_AT_ONCE = 2_000
TICK_SECONDS, KEEP_SECONDS = 0.02, 2.0


class Played(msgspec.Struct):
    """What a replay has sent; before_start: rows that fit, and were to be left out."""

    sent: int = 0
    frauds: int = 0
    labels_sent: int = 0
    labels_under_way: int = 0
    before_start: int = 0
    seconds: float = 0.0
    last_event_time: datetime | None = None


@dataclass(frozen=True)
class Pace:
    """How fast, and where it begins.

    speed: how many times as fast as the data's own clock, 0 for as fast as possible; start: the first row's number, or the
    first event_time, or None; flush_labels: at the end of the data, send the labels that are not due.
    """

    speed: float = 0.0
    start: int | datetime | None = None
    flush_labels: bool = False


@dataclass
class Player:
    """Replays a data set. How far it came is kept in `place` every KEEP_SECONDS, once Kafka has all up to there.

    A transaction's Kafka timestamp is the time at which it should have left; event_time stays the data's. After a kill, what
    was sent since the last time the place was kept is sent once more.
    """

    data: DataSet
    outbox: Outbox
    topics: Topics
    pace: Pace
    reporting: Reporting
    place: KeptPlace
    rejects_file: Path
    resume: bool = False
    progress: Callable[[Played], None] = lambda played: None
    played: Played = field(default_factory=Played)

    def __post_init__(self) -> None:
        self._stopped = threading.Event()
        self._labels = LateLabels()
        self._now_at: Reached | None = None
        self._started_ms, self._first_ms = 0.0, 0
        self._started = time.perf_counter()
        self._next_kept = self._started + KEEP_SECONDS

    def stop(self) -> None:
        """End soon: what has left is delivered, and the place is kept."""
        self._stopped.set()

    @property
    def stopped(self) -> bool:
        """Whether `stop` ended it before the data did."""
        return self._stopped.is_set()

    def run(self) -> tuple[Played, Rejects]:
        """Replay, and say what was sent.

        Raises ReplayError where there is nothing to resume, and as DataSet.pieces does, and DeliveryFailed where a record did
        not reach Kafka.
        """
        kept = self.place.read() if self.resume else None
        reached = kept.reached if kept else None
        self._labels = LateLabels(kept.under_way if kept else ())
        with Rejects(
            self.rejects_file, reached.rejects if reached else 0, reached.reject_bytes if reached else 0
        ) as rejects:
            for piece in self.data.pieces(rejects, reached):
                for some in self._portions(piece.table):
                    sent = self._send_all(some)
                    if sent:
                        self._now_at = self.data.reached(piece, Place.of(some, sent - 1), rejects)
                        self._keep_place()
                if self._stopped.is_set():
                    break
        self._finish()
        return self._report(), rejects

    def _portions(self, table: pa.Table) -> Iterator[pa.Table]:
        """A piece's rows from the start on, some at a time."""
        n = len(table)
        for begin in range(0, n, ROWS_AT_ONCE):
            if self._stopped.is_set():
                return
            some = table.slice(begin, ROWS_AT_ONCE)
            kept = some
            if isinstance(self.pace.start, int):
                kept = some.filter(pa.array(some[ROW].to_numpy() >= self.pace.start))
            elif self.pace.start is not None:
                start_ms = self.pace.start.timestamp() * 1000
                kept = some.filter(pa.array(some["event_time"].cast(pa.int64()).to_numpy() >= start_ms))
            self.played.before_start += len(some) - len(kept)
            if len(kept):
                yield kept

    def _send_all(self, table: pa.Table) -> int:
        """Send rows, each when it is due, and return how many: not all of them where it is stopped."""
        truth = truth_table(table, self.data.mapping.name)
        labels = label_table(truth, fraud_rows(table), self.reporting)
        made = records(
            Batch(table.select(list(TRANSACTION_FIELDS)), truth, labels), extra_columns(table, self.data.mapping)
        )
        if not self.played.sent:
            self._started_ms, self._first_ms = time.time() * 1000, int(made.times[0])
        at = self._send_times(made.times)
        row = 0
        while row < len(at):
            due = int(np.searchsorted(at, time.time() * 1000, side="right")) if self.pace.speed else len(at)
            if due > row:
                self._send(made, slice(row, due), at)
                row = due
            elif self._stopped.wait(min(TICK_SECONDS, max(0.0, at[row] / 1000 - time.time()))):
                break
            self.outbox.poll()
            self.progress(self._report())
        return row

    def _send_times(self, times: Array) -> Array:
        """When each of the rows (n,) is to leave, in ms since the epoch."""
        if not self.pace.speed:
            return np.full(len(times), time.time() * 1000)
        at: Array = self._started_ms + (times - self._first_ms) / self.pace.speed
        return at

    def _send(self, made: Records, rows: slice, at: Array) -> None:
        stamps = [int(ms) for ms in at[rows]]
        self.outbox.put_all(self.topics.transactions, made.keys[rows], made.values[rows], stamps)
        self.played.sent += rows.stop - rows.start
        self.played.last_event_time = time_of(int(made.times[rows.stop - 1]))
        for row, label in made.truth.items():
            if rows.start <= row < rows.stop:
                self._put(self.topics.truth, label, stamps[row - rows.start])
                self.played.frauds += 1
        for row, labels in made.labels.items():
            if rows.start <= row < rows.stop:
                for label in labels:
                    self._labels.add(label)
        self._send_labels(self.played.last_event_time)

    def _send_labels(self, now: datetime) -> None:
        for label in self._labels.due(now):
            self._put(self.topics.labels, label, int(time.time() * 1000))
            self.played.labels_sent += 1

    def _put(self, topic: str, label: Label, stamp: int) -> None:
        self.outbox.put_all(topic, [label.customer_id.encode()], [label_value(label)], [stamp])

    def _keep_place(self) -> None:
        """Note how far it came, once Kafka has all up to there."""
        if self._now_at and (self._stopped.is_set() or time.perf_counter() >= self._next_kept):
            self.outbox.close()
            self.place.write(self._now_at, self._labels)
            self._next_kept = time.perf_counter() + KEEP_SECONDS

    def _finish(self) -> None:
        if self._stopped.is_set():
            self._keep_place()
            return
        if self.pace.flush_labels:
            self._send_labels(datetime.max.replace(tzinfo=UTC))
        self.outbox.close()
        self.place.clear()

    def _report(self) -> Played:
        self.played.seconds = round(time.perf_counter() - self._started, 3)
        self.played.labels_under_way = len(self._labels)
        return self.played
