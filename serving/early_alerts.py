"""Anomalies, sent to a topic of their own as soon as they are found, each by one replica and once."""

import logging
import threading
import time
from collections import deque
from typing import Final, NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from messaging.config import KafkaConfig
from serving.intake import TRACE_HEADER
from serving.sent_alerts import KEPT_SECONDS, PLACE_HEADER, Place, Sent

_log = logging.getLogger(__name__)

_MOST_HELD: Final = 100_000
_SESSION_MS: Final = 6_000
_REFRESH_MS: Final = 10_000
_ANSWER_SECONDS: Final = 10.0
_PAUSE_SECONDS: Final = 2.0
_SENT_SECONDS: Final = 0.1


class _Held(NamedTuple):
    """An anomaly of a partition whose alerts another replica sends; kept for the case that it is gone."""

    at: float
    place: Place
    key: bytes | None
    value: bytes
    trace: bytes | None


class Lease:
    """Which partitions' alerts this replica sends: those that Kafka's group of replicas assigns to it.

    A replica that ends hands its partitions over at once; one that is killed loses them when its session ends, after some
    seconds. Nothing is read by way of the group.
    """

    def __init__(self, kafka: KafkaConfig, group: str, topic: str) -> None:
        self.held: set[int] = set()
        self._stopped = threading.Event()
        self._consumer = Consumer(
            {
                **kafka.for_confluent_consumer(),
                "group.id": group,
                "enable.auto.commit": False,
                "auto.offset.reset": "latest",
                "session.timeout.ms": _SESSION_MS,
                "heartbeat.interval.ms": _SESSION_MS // 3,
                "topic.metadata.refresh.interval.ms": _REFRESH_MS,  # so that added partitions are leased in time
                "partition.assignment.strategy": "cooperative-sticky",
                "log_level": 2,
            }
        )
        self._consumer.subscribe([topic], on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._revoked)
        self._thread = threading.Thread(target=self._serve, name="lease", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Hand everything over."""
        self._stopped.set()
        self._thread.join(_ANSWER_SECONDS)

    def _serve(self) -> None:
        while not self._stopped.is_set():
            try:
                self._consumer.poll(0.2)  # what is assigned is paused: this calls us back, and reads nothing
            except KafkaException as error:
                _log.warning("the lease of early alerts: %s", error.args[0].str())
        self.held = set()
        self._consumer.close()

    def _assigned(self, consumer: Consumer, parts: list[TopicPartition]) -> None:
        consumer.incremental_assign(parts)
        consumer.pause(parts)
        self.held = self.held | {part.partition for part in parts}
        _log.info("this replica sends the early alerts of the partitions %s", sorted(self.held))

    def _revoked(self, consumer: Consumer, parts: list[TopicPartition]) -> None:
        self.held = self.held - {part.partition for part in parts}
        consumer.incremental_unassign(parts)


class EarlyAlerts:
    """Sends the alerts of the partitions that this replica has the lease of, and holds the others for two minutes.

    What is on the topic already is not sent again, so that neither a restart nor a change of the lease sends anything
    twice; what is held and not there is sent as soon as the lease comes. `send` and `look` are called in the tail's thread.
    """

    def __init__(self, kafka: KafkaConfig, topic: str, lease: Lease, sent: Sent) -> None:
        self._topic = topic
        self._lease = lease
        self._sent = sent
        self._held: deque[_Held] = deque(maxlen=_MOST_HELD)
        self._ours: set[int] = set()
        self._not_before = self._look_at_sent = 0.0
        self.sent = 0
        self.failed = 0
        self._producer = Producer(
            {
                **kafka.for_confluent(),
                "acks": "all",
                "enable.idempotence": True,
                "linger.ms": 0,
                "partitioner": "murmur2_random",
                "message.max.bytes": 8 << 20,
                "log_level": 2,
            }
        )
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="early alerts", daemon=True)
        self._thread.start()

    def send(self, partition: int, offset: int, key: bytes | None, value: bytes, trace: bytes | None = None) -> None:
        """One anomaly's score as JSON, and the W3C trace context of its transaction."""
        alert = _Held(time.monotonic(), (partition, offset), key, value, trace)
        if partition in self._ours:
            self._produce(alert)
        else:
            self._held.append(alert)

    def look(self) -> None:
        """Between two reads of the log: take up a change of the lease, and forget what is too old."""
        now = time.monotonic()
        if (
            now >= self._look_at_sent
        ):  # each look is a call of the system, and this is called after each read of the log
            self._look_at_sent = now + _SENT_SECONDS
            self._sent.read()
        ours = self._lease.held
        self._ours &= ours
        if ours - self._ours and self._knows_all():
            self._ours = set(ours)
            for held in [held for held in self._held if held.place[0] in ours]:
                self._produce(held)
            self._held = deque((held for held in self._held if held.place[0] not in ours), _MOST_HELD)
        while self._held and self._held[0].at < now - KEPT_SECONDS:
            self._held.popleft()

    def _knows_all(self) -> bool:
        """Whether all that others have sent was read. While Kafka is unavailable, what is ours is held."""
        if time.monotonic() < self._not_before:
            return False
        try:
            self._sent.read_all()
        except KafkaException as error:
            self._not_before = time.monotonic() + _PAUSE_SECONDS
            _log.warning("early alerts are held until their topic can be read: %s", error.args[0].str())
            return False
        return True

    def close(self, seconds: float) -> int:
        """Wait at most so long for what is on its way, then hand the lease over; returns how many are left."""
        left: int = self._producer.flush(seconds)
        self._stopped.set()
        self._thread.join(1)
        self._lease.close()
        self._sent.close()
        return left

    def _produce(self, alert: _Held) -> None:
        """Where the queue is full, it waits: the log then waits, and nothing is lost."""
        if alert.place in self._sent:
            return
        partition, offset = alert.place
        headers: list[tuple[str, str | bytes | None]] = [(PLACE_HEADER, f"{partition}/{offset}".encode())]
        if alert.trace is not None:
            headers.append((TRACE_HEADER, alert.trace))
            _log.info("early alert of %d/%d, trace %s", partition, offset, alert.trace.decode("ascii"))
        while True:
            try:
                self._producer.produce(
                    self._topic, alert.value, alert.key, headers=headers, on_delivery=self._delivered
                )
            except BufferError:
                self._producer.poll(0.1)
            except KafkaException as error:
                self._failure(error.args[0].str())
                return
            else:
                return

    def _delivered(self, error: KafkaError | None, _: Message) -> None:
        if error is None:
            self.sent += 1
        else:
            self._failure(error.str())

    def _failure(self, why: str) -> None:
        self.failed += 1
        _log.error("an early alert could not be sent (%s); Spark's lane has it all the same", why)

    def _serve(self) -> None:
        while not self._stopped.is_set():
            self._producer.poll(0.1)
