"""Follows the log: reads transactions in order, folds them into the replica, judges them, and says what came of them."""

import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple, Protocol

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from detection.decision import Decision
from detection.engine import Engine, Outcome, Scored
from detection.folding import Messages
from detection.score_json import closing
from messaging.config import KafkaConfig
from serving.intake import request_of
from serving.judge import Judge

_log = logging.getLogger(__name__)

_AT_ONCE: Final = 500
_WAIT_SECONDS: Final = 0.05
_LANE: Final = "early"


class Read(NamedTuple):
    """A record that was judged: who waits for it (None: nobody), where it is, its value, and what came of it."""

    request: bytes | None
    partition: int
    offset: int
    value: bytes
    outcome: Outcome


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
    ) -> None:
        super().__init__(name="tail", daemon=True)
        self._topic = topic
        self.next = dict(start)
        self._engine = engine
        self._judge = judge
        self._deliver = deliver
        self._alerts = alerts
        self._limits = limits
        self._stopped = threading.Event()
        self.failure: BaseException | None = None
        self.between: list[Callable[[], None]] = []
        self._questions: list[Callable[[], None]] = []
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
        self._end = {number: self._watermarks(number)[1] for number in start}
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
                if first is not None:
                    self._take([first, *self._consumer.consume(_AT_ONCE - 1, 0)])
                for step in self.between:
                    step()
        except BaseException as error:  # noqa: BLE001  # the thread's end is looked at elsewhere
            _log.exception("the log is no longer followed")
            self.failure = error
        finally:
            self._consumer.close()

    def _watermarks(self, partition: int) -> tuple[int, int]:
        low, high = self._consumer.get_watermark_offsets(TopicPartition(self._topic, partition), 10)
        return int(low), int(high)

    def _take(self, messages: Iterable[Message]) -> None:
        good = []
        for message in messages:
            error = message.error()
            if error is None:
                good.append(message)
            elif error.code() not in (KafkaError._PARTITION_EOF, KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN):
                raise KafkaException(error)
        now = time.time() * 1000
        answered: list[Read] = []
        for how, some in itertools.groupby(good, lambda message: self._how(message, now)):
            answered += self._work(list(some), how)
        if answered:
            self._deliver(answered)

    def _how(self, message: Message, now: float) -> str:
        """Whether a record is `live`, was answered lately (`again`), or is `old`."""
        age = (now - message.timestamp()[1]) / 1000
        known = message.offset() < self._end.get(message.partition(), 0)
        if not known and age <= self._limits.late_seconds:
            return "live"
        if known and age <= self._limits.kept_seconds and request_of(message) is not None:
            return "again"
        return "live" if age <= self._limits.late_seconds else "old"

    def _work(self, messages: Sequence[Message], how: str) -> list[Read]:
        batch = Messages(
            [message.value() for message in messages],
            [message.key() for message in messages],
            [message.timestamp()[1] for message in messages],
            [message.partition() for message in messages],
            [message.offset() for message in messages],
        )
        if how == "old":
            self._engine.fold(batch)
            self._advance(messages)
            return []
        decision = self._judge.current(self.next)
        if how == "again":
            first = messages[0]
            decision = self._judge.at(first.partition(), first.offset()) or decision
        outcomes = self._outcomes(batch, decision)
        self._advance(messages)
        answered = []
        for message, value, outcome in zip(messages, batch.values, outcomes, strict=True):
            partition, offset = message.partition(), message.offset()
            if how == "live" and isinstance(outcome, Scored) and outcome.is_anomaly:
                self._alerts.send(partition, offset, message.key(), outcome.value)
            request = request_of(message)
            if request is not None:
                answered.append(Read(request, partition, offset, value or b"", outcome))
        return answered

    def _outcomes(self, batch: Messages, decision: Decision) -> list[Outcome]:
        return self._engine.work(batch, decision, closing("early", None, round(time.time() * 1000)))

    def _advance(self, messages: Sequence[Message]) -> None:
        for message in messages:
            self.next[message.partition()] = message.offset() + 1
