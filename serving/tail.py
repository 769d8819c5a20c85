"""Follows the log: reads transactions in order, folds them into the replica, judges them, and says what came of them."""

import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Final, Literal, NamedTuple, Protocol

from confluent_kafka import TIMESTAMP_NOT_AVAILABLE, Consumer, KafkaError, KafkaException, Message, TopicPartition

from detection.decision import Decision
from detection.engine import Engine, Outcome, Scored
from detection.folding import Messages
from detection.score_json import closing
from messaging.config import KafkaConfig
from ml.schema import Lane
from serving.intake import request_of
from serving.judge import Judge

_log = logging.getLogger(__name__)

_AT_ONCE: Final = 500
_WAIT_SECONDS: Final = 0.05
_LANE: Final[Lane] = "early"


class Read(NamedTuple):
    """A record that was judged: who waits for it, where it is, and what came of it."""

    request: bytes
    partition: int
    offset: int
    outcome: Outcome


class _Record(NamedTuple):
    partition: int
    offset: int
    kafka_time: int
    key: bytes | None
    value: bytes | None
    request: bytes | None


How = Literal["live", "again", "old"]
"""A record is judged and alerted; judged again by what judged it, for its answer; or only folded."""


Deliver = Callable[[list[Read]], None]


class Alerts(Protocol):
    """Takes anomalies as they are found."""

    def send(self, partition: int, offset: int, key: bytes | None, value: bytes) -> None:
        """One anomaly's score as JSON."""


class Limits(NamedTuple):
    """Records older than `late_seconds` are folded and not alerted; what was answered is judged again for `kept_seconds`."""

    late_seconds: float = 10.0
    kept_seconds: float = 600.0


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
        self._judge = judge
        self._deliver = deliver
        self._alerts = alerts
        self._limits = limits
        self._states = states or nullcontext()
        self._currency_version = currency_version
        self.idle = False
        """Whether there was nothing to read at the last look."""
        self.read = 0
        self.age_seconds = 0.0
        self._stopped = threading.Event()
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
                "queued.min.messages": 20_000,
                "queued.max.messages.kbytes": 65_536,
                "log_level": 2,
            }
        )
        self._known = {number: self._watermarks(number, cached=False)[1] for number in start}
        self._end = dict(self._known)
        self._consumer.assign([TopicPartition(topic, number, offset) for number, offset in start.items()])

    @property
    def behind(self) -> int:
        """How many records of those that were there at the start, or when Kafka last said, are not read yet."""
        return sum(max(0, end - self.next.get(number, 0)) for number, end in self._end.items())

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
                    self._take([first, *self._consumer.consume(_AT_ONCE - 1, 0)])
                for step in self.between:
                    step()
        except BaseException as error:  # noqa: BLE001  # the thread's end is looked at elsewhere
            _log.exception("the log is no longer followed")
            self.failure = error
        finally:
            self._consumer.close()

    def _watermarks(self, partition: int, *, cached: bool) -> tuple[int, int]:
        low, high = self._consumer.get_watermark_offsets(TopicPartition(self._topic, partition), 10, cached=cached)
        return int(low), int(high)

    def _take(self, messages: Iterable[Message]) -> None:
        good = []
        for message in messages:
            error = message.error()
            if error is None:
                good.append(_record(message))
            elif error.code() not in (KafkaError._PARTITION_EOF, KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN):
                raise KafkaException(error)
        now = time.time() * 1000
        answered: list[Read] = []
        for how, some in itertools.groupby(good, lambda record: self._how(record, now)):
            answered += self._work(list(some), how)
        if answered:
            self._deliver(answered)

    def _how(self, record: _Record, now: float) -> How:
        age = (now - record.kafka_time) / 1000
        if record.offset >= self._known.get(record.partition, 0) or record.request is None:
            return "live" if age <= self._limits.late_seconds else "old"
        return "again" if age <= self._limits.kept_seconds else "old"

    def _work(self, records: Sequence[_Record], how: How) -> list[Read]:
        partitions, offsets, times, keys, values, _ = zip(*records, strict=True)
        batch = Messages(values, keys, times, partitions, offsets)
        if how == "old":
            with self._states:
                self._engine.fold(batch)
            self._advance(records)
            return []
        decision = self._judge.current(self.next)
        if how == "again":
            decision = self._judge.at(records[0].partition, records[0].offset) or decision
        with self._states:
            outcomes = self._engine.work(
                batch,
                decision,
                closing(_LANE, None, round(time.time() * 1000), decision.versions.profiles, self._currency_version),
            )
        self._advance(records)
        for record, outcome in zip(records, outcomes, strict=True):
            if how == "live" and isinstance(outcome, Scored) and outcome.is_anomaly:
                self._alerts.send(record.partition, record.offset, record.key, outcome.value)
        return [
            Read(record.request, record.partition, record.offset, outcome)
            for record, outcome in zip(records, outcomes, strict=True)
            if record.request is not None
        ]

    def _end_of(self, decision: Decision) -> bytes:
        now = round(time.time() * 1000)
        return closing(_LANE, None, now, decision.versions.profiles, self._currency_version)

    def _advance(self, records: Sequence[_Record]) -> None:
        for record in records:
            self.next[record.partition] = record.offset + 1
        for partition in {record.partition for record in records}:
            self._end[partition] = max(self._watermarks(partition, cached=True)[1], self.next[partition])
        self.read += len(records)
        self.age_seconds = time.time() - records[-1].kafka_time / 1000


def _record(message: Message) -> _Record:
    partition, offset = message.partition(), message.offset()
    assert partition is not None  # as is every record's that was read
    assert offset is not None
    kind, kafka_time = message.timestamp()
    return _Record(
        partition,
        offset,
        -1 if kind == TIMESTAMP_NOT_AVAILABLE else kafka_time,
        message.key(),
        message.value(),
        request_of(message),
    )
