"""Follows the log: reads transactions in order, folds them into the replica, judges them, and says what came of them."""

import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Final, NamedTuple, Protocol

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from detection.engine import Engine, Outcome, Scored
from detection.folding import Messages
from detection.score_json import closing
from messaging.config import KafkaConfig
from ml.schema import Lane
from serving.choosing import By, Chooser, How, Limits
from serving.errors import RecordsMissing
from serving.judge import Judge
from serving.records import Record, record_of
from serving.stamp import Stamp

_log = logging.getLogger(__name__)

_AT_ONCE: Final = 500
_WAIT_SECONDS: Final = 0.05
_GATHER_SECONDS: Final = 0.001
"""How long more records are waited for after the first: each look at the log costs as much as judging a record."""
_SILENT_SECONDS: Final = 60.0
_LANE: Final[Lane] = "early"
_GONE: Final = (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE)
"""The log has been cut, or made again, before it was read: only a person can say how to go on."""


class Read(NamedTuple):
    """A record that was judged: who waits for it, where it is, and what came of it.

    stamp: by what it was to be judged; agreed: whether it was.
    """

    request: bytes
    partition: int
    offset: int
    outcome: Outcome
    stamp: Stamp | None = None
    agreed: bool = True


Deliver = Callable[[list[Read]], None]


class Alerts(Protocol):
    """Takes anomalies as they are found."""

    def send(self, partition: int, offset: int, key: bytes | None, value: bytes, trace: bytes | None = None) -> None:
        """One anomaly's score as JSON, and the W3C trace context of its transaction."""


class Tail(threading.Thread):
    """The one reader of the log, and the only thread that touches the engine's states while it runs."""

    def __init__(
        self,
        kafka: KafkaConfig,
        topic: str,
        start: dict[int, int],
        engine: Engine,
        judge: Judge,
        deliver: Deliver,
        alerts: Alerts,
        limits: Limits = Limits(),  # noqa: B008  # it is frozen
        states: AbstractContextManager[object] | None = None,
        currency_version: str = "",
    ) -> None:
        super().__init__(name="tail", daemon=True)
        self._topic = topic
        self.next = dict(start)
        self._engine = engine
        self._deliver = deliver
        self._alerts = alerts
        self._states = states or nullcontext()
        self._currency_version = currency_version
        self.idle = False
        """Whether there was nothing to read at the last look."""
        self.read = 0
        self.age_seconds = 0.0
        self._stopped = threading.Event()
        self._silent_until = float("-inf")
        self._partitions = frozenset(start)
        self.failure: BaseException | None = None
        self.between: list[Callable[[], None]] = []
        self._consumer = Consumer(
            {
                **kafka.for_confluent_consumer(),
                "group.id": "serving",  # librdkafka wants one; nothing is committed, partitions are assigned by hand
                "enable.auto.commit": False,
                "auto.offset.reset": "error",
                "fetch.wait.max.ms": 5,
                "fetch.error.backoff.ms": 50,
                "reconnect.backoff.max.ms": 1_000,
                "queued.min.messages": 20_000,
                "queued.max.messages.kbytes": 65_536,
                "log_level": 2,
            }
        )
        known = {number: self._watermarks(number, cached=False)[1] for number in start}
        self._end = dict(known)
        self._chooser = Chooser(judge, limits, known)
        self._consumer.assign([TopicPartition(topic, number, offset) for number, offset in start.items()])

    @property
    def behind(self) -> int:
        """How many records of those that were there at the start, or when Kafka last said, are not read yet."""
        return sum(max(0, end - self.next.get(number, 0)) for number, end in self._end.items())

    def widen(self, partitions: Iterable[int]) -> None:
        """These partitions are there now; those that are new are read from their beginning. Called in any thread."""
        self._partitions = frozenset(partitions)

    def fail(self, why: str) -> None:
        """End, for this reason. Called in any thread."""
        self.failure = RecordsMissing(why)
        self._stopped.set()

    def stop(self) -> None:
        """End after the records at hand."""
        self._stopped.set()

    def run(self) -> None:
        """Until `stop`. What ends it otherwise is `failure`."""
        try:
            while not self._stopped.is_set():
                first = self._consumer.poll(_WAIT_SECONDS)
                self.idle = first is None
                if first is not None:
                    self._take([first, *self._consumer.consume(_AT_ONCE - 1, _GATHER_SECONDS)])
                if not self._partitions <= self.next.keys():
                    self._take_up(sorted(self._partitions - self.next.keys()))
                for step in self.between:
                    step()
        except BaseException as error:  # noqa: BLE001  # the thread's end is looked at elsewhere
            _log.exception("the log is no longer followed")
            self.failure = error
        finally:
            self._consumer.close()

    def _take_up(self, partitions: Sequence[int]) -> None:
        _log.info("the log has new partitions: %s", ", ".join(map(str, partitions)))
        self.next |= dict.fromkeys(partitions, 0)
        self._end |= dict.fromkeys(partitions, 0)
        self._consumer.assign([TopicPartition(self._topic, number, offset) for number, offset in self.next.items()])

    def _watermarks(self, partition: int, *, cached: bool) -> tuple[int, int]:
        low, high = self._consumer.get_watermark_offsets(TopicPartition(self._topic, partition), 10, cached=cached)
        return int(low), int(high)

    def _take(self, messages: Iterable[Message]) -> None:
        good = []
        for message in messages:
            error = message.error()
            if error is None:
                good.append(record_of(message))
            elif error.code() in _GONE:
                partition = message.partition()
                raise RecordsMissing(
                    f"{self._topic} no longer has what comes next in partition {partition} (offset "
                    f"{self.next.get(partition or 0, 0):,}): it has been cut, or made again. Take the state of the running job "
                    "(scoreline state export) or of a training, and start with --rebuild"
                )
            elif error.fatal():
                raise KafkaException(error)
            else:
                self._report(error)
        now = time.time() * 1000
        answered: list[Read] = []
        for (how, by), some in itertools.groupby(good, lambda record: self._chooser.way(record, now)):
            answered += self._work(list(some), how, by)
        if answered:
            self._deliver(answered)

    def _report(self, error: KafkaError) -> None:
        """What Kafka's client overcomes by itself: in the log once a minute."""
        if time.monotonic() >= self._silent_until and error.code() != KafkaError._PARTITION_EOF:
            self._silent_until = time.monotonic() + _SILENT_SECONDS
            _log.warning("reading the log: %s", error.str())

    def _work(self, records: Sequence[Record], how: How, by: By) -> list[Read]:
        partitions, offsets, times, keys, values, *_ = zip(*records, strict=True)
        batch = Messages(values, keys, times, partitions, offsets)
        if how == "folded":
            with self._states:
                self._engine.fold(batch)
            self._advance(records)
            return []
        decision = self._chooser.decision(by, self.next)
        with self._states:
            outcomes = self._engine.work(
                batch,
                decision,
                closing(_LANE, None, round(time.time() * 1000), decision.versions.profiles, self._currency_version),
            )
        self._advance(records)
        for record, outcome in zip(records, outcomes, strict=True):
            if how == "alerted" and isinstance(outcome, Scored) and outcome.is_anomaly:
                self._alerts.send(record.partition, record.offset, record.key, outcome.value, record.trace)
        return [
            Read(record.request, record.partition, record.offset, outcome, record.stamp, by.agreed)
            for record, outcome in zip(records, outcomes, strict=True)
            if record.request is not None
        ]

    def _advance(self, records: Sequence[Record]) -> None:
        for record in records:
            self.next[record.partition] = record.offset + 1
        for partition in {record.partition for record in records}:
            self._end[partition] = max(self._watermarks(partition, cached=True)[1], self.next[partition])
        self.read += len(records)
        self.age_seconds = time.time() - records[-1].kafka_time / 1000
