"""Anomalies, sent to a topic of their own as soon as they are found, each by one replica and once."""

import logging
import threading
import time
from collections import OrderedDict, deque
from typing import Final, NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from messaging.config import KafkaConfig

_log = logging.getLogger(__name__)

PLACE_HEADER: Final = "scoreline-place"
"""PARTITION/OFFSET of the transaction, by which a reader, and every replica, knows what was alerted."""

_KEPT_SECONDS: Final = 120.0
_MOST_HELD: Final = 100_000
_SESSION_MS: Final = 6_000
_ANSWER_SECONDS: Final = 10.0
_LONGEST_PLACE: Final = 40
"""Bytes of a place's text. Anybody may write to the topic, and Python refuses to read very long numbers."""

Place = tuple[int, int]


class _Held(NamedTuple):
    """An anomaly of a partition whose alerts another replica sends; kept for the case that it is gone."""

    at: float
    place: Place
    key: bytes | None
    value: bytes


class Sent:
    """Which alerts are on the topic, by their places: those of the last two minutes and all that come."""

    def __init__(self, kafka: KafkaConfig, topic: str) -> None:
        self._topic = topic
        self._places: OrderedDict[Place, float] = OrderedDict()
        self._consumer = Consumer(
            {
                **kafka.for_confluent_consumer(),
                "group.id": "serving",  # librdkafka wants one; nothing is committed, partitions are assigned by hand
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "fetch.wait.max.ms": 50,
                "log_level": 2,
            }
        )
        self._assign()

    def __contains__(self, place: Place) -> bool:
        return place in self._places

    def read(self, seconds: float = 0.0) -> None:
        """Take in what has come."""
        now = time.monotonic()
        for message in self._consumer.consume(1_000, seconds):
            if message.error() is None:
                self._next[message.partition()] = (message.offset() or 0) + 1
                place = place_of(message)
                if place is not None:
                    self._places[place] = now
        while self._places and next(iter(self._places.values())) < now - 2 * _KEPT_SECONDS:
            self._places.popitem(last=False)

    def read_all(self) -> None:
        """Take in all that is on the topic by now. Raises `KafkaException` where Kafka does not give it."""
        ends = {
            part.partition: self._consumer.get_watermark_offsets(part, _ANSWER_SECONDS)[1]
            for part in self._consumer.assignment()
        }
        deadline = time.monotonic() + _ANSWER_SECONDS
        while any(self._next[partition] < end for partition, end in ends.items()):
            if time.monotonic() > deadline:
                raise KafkaException(KafkaError(KafkaError._TIMED_OUT, f"{self._topic} was not read"))
            self.read(0.1)

    def close(self) -> None:
        """Close the connection."""
        self._consumer.close()

    def _assign(self) -> None:
        listed = self._consumer.list_topics(self._topic, _ANSWER_SECONDS).topics[self._topic]
        if listed.error is not None:
            raise KafkaException(listed.error)
        since = round((time.time() - _KEPT_SECONDS) * 1000)
        parts = [TopicPartition(self._topic, number, since) for number in listed.partitions]
        found = self._consumer.offsets_for_times(parts, _ANSWER_SECONDS)
        for part in found:
            if part.offset < 0:
                part.offset = self._consumer.get_watermark_offsets(part, _ANSWER_SECONDS)[1]
        self._next: dict[int | None, int] = {part.partition: part.offset for part in found}
        self._consumer.assign(found)


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
            self._consumer.poll(0.2)  # what is assigned is paused: this calls us back, and reads nothing
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

    def send(self, partition: int, offset: int, key: bytes | None, value: bytes) -> None:
        """One anomaly's score as JSON."""
        if partition in self._ours:
            self._produce((partition, offset), key, value)
        else:
            self._held.append(_Held(time.monotonic(), (partition, offset), key, value))

    def look(self) -> None:
        """Between two reads of the log: take up a change of the lease, and forget what is too old."""
        self._sent.read()
        ours = self._lease.held
        if ours - self._ours:
            self._sent.read_all()
            self._ours = set(ours)
            for held in [held for held in self._held if held.place[0] in ours]:
                self._produce(held.place, held.key, held.value)
            self._held = deque((held for held in self._held if held.place[0] not in ours), _MOST_HELD)
        self._ours = set(ours)
        while self._held and self._held[0].at < time.monotonic() - _KEPT_SECONDS:
            self._held.popleft()

    def close(self, seconds: float) -> int:
        """Wait at most so long for what is on its way, then hand the lease over; returns how many are left."""
        left: int = self._producer.flush(seconds)
        self._stopped.set()
        self._thread.join(1)
        self._lease.close()
        self._sent.close()
        return left

    def _produce(self, place: Place, key: bytes | None, value: bytes) -> None:
        """Where the queue is full, it waits: the log then waits, and nothing is lost."""
        if place in self._sent:
            return
        headers: list[tuple[str, str | bytes | None]] = [(PLACE_HEADER, f"{place[0]}/{place[1]}".encode())]
        while True:
            try:
                self._producer.produce(self._topic, value, key, headers=headers, on_delivery=self._delivered)
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


def place_of(message: Message) -> Place | None:
    """The place of the transaction that an alert is of; None where its header does not say."""
    for header in message.headers() or ():
        if header[0] == PLACE_HEADER and isinstance(header[1], bytes):
            partition, _, offset = header[1].partition(b"/")
            if partition.isdigit() and offset.isdigit() and len(header[1]) <= _LONGEST_PLACE:
                return int(partition), int(offset)
    return None
