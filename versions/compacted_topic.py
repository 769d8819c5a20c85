"""Our records on a compacted topic, of which the newest counts: read from the beginning on, and published durably."""

import time
from abc import ABC, abstractmethod
from typing import Final, Generic, TypeVar

from confluent_kafka import (
    OFFSET_BEGINNING,
    TIMESTAMP_NOT_AVAILABLE,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)
from kafka import KafkaProducer

from messaging.config import KafkaConfig
from messaging.unreachable import why_unreachable
from ml.schema import Unreadable
from versions.left_out import LeftOut

T = TypeVar("T")

_POLL_SECONDS: Final = 1.0
_SEND_SECONDS: Final = 30.0
_ANSWER_SECONDS: Final = 10.0
_READING_SECONDS: Final = 60.0
_PARTITIONS_SECONDS: Final = 30.0
_AT_ONCE: Final = 1_000
_FIRST_VERSIONS_MS: Final = 1_577_836_800_000
_CONSUMER: Final = {
    "group.id": "tables",  # librdkafka wants one; nothing is committed, partitions are assigned by hand
    "enable.auto.commit": False,
    "enable.partition.eof": True,
    "auto.offset.reset": "earliest",
    "log_level": 2,
}


class CompactedTopic(ABC, Generic[T]):
    """Reads our records from their topic, from its beginning on. Foreign ones are left out, counted and logged.

    key: of our records, the model's name; None for any. what: they are, in the plural.
    """

    def __init__(self, topic: str, kafka: KafkaConfig, key: str | None, what: str) -> None:
        self._topic = topic
        self._kafka = kafka
        self._options = kafka.for_confluent_consumer() | _CONSUMER
        self._key = None if key is None else key.encode()
        self._consumer: Consumer | None = None
        self._partitions: set[int] = set()
        self._unread: set[int] = set()
        self._looked = 0.0
        self._left_out = LeftOut(f"of {topic}, being no {what} of ours")

    @abstractmethod
    def record(self, value: bytes | None, came: float) -> T:
        """A record of ours, which came then (ms since the epoch). Raises `Unreadable` where it is none."""

    def read(self, seconds: float) -> list[T]:
        """The next records; waits for the first at most so long. Raises `KafkaException`."""
        if self._consumer is None or time.monotonic() - self._looked > _PARTITIONS_SECONDS:
            self._assign()
        assert self._consumer is not None
        found: list[T] = []
        for message in self._consumer.consume(_AT_ONCE, seconds):
            error = message.error()
            if error is None:
                try:
                    found.append(self._record(message))
                except Unreadable as why:
                    self._left_out.add(1, f"at partition {message.partition()}, offset {message.offset()}: {why}")
            elif error.code() == KafkaError._PARTITION_EOF:
                self._unread.discard(message.partition())
            elif error.code() not in (KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN):
                raise KafkaException(error)
        self._left_out.add(0, None)
        return found

    def read_all(self) -> list[T]:
        """All records up to the topic's end as it is now. Raises `KafkaException` where Kafka does not give them."""
        found = self.read(_POLL_SECONDS)
        deadline = time.monotonic() + _READING_SECONDS
        while self._unread:
            if time.monotonic() > deadline:
                raise KafkaException(KafkaError(KafkaError._TIMED_OUT, f"the topic {self._topic} was not read"))
            found += self.read(_POLL_SECONDS)
        return found

    def close(self) -> None:
        """Close the connection."""
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None

    def _assign(self) -> None:
        """All partitions from the beginning, where they have changed: some may have been added."""
        consumer = self._consumer or Consumer(self._options)
        try:
            listed = consumer.list_topics(self._topic, _ANSWER_SECONDS).topics[self._topic]
            if listed.error is not None:
                raise KafkaException(listed.error)
        except BaseException as error:
            consumer.close()
            self._consumer = None
            if isinstance(error, KafkaException) and (why := why_unreachable(self._kafka)):
                raise KafkaException(KafkaError(error.args[0].code(), why)) from None
            raise
        if self._consumer is None or set(listed.partitions) != self._partitions:
            self._partitions, self._unread = set(listed.partitions), set(listed.partitions)
            consumer.assign([TopicPartition(self._topic, number, OFFSET_BEGINNING) for number in self._partitions])
        self._consumer, self._looked = consumer, time.monotonic()

    def _record(self, message: Message) -> T:
        if self._key is not None and message.key() != self._key:
            raise Unreadable(f"its key is {message.key()!r:.50}, ours is {self._key!r}")
        now = time.time() * 1000
        kind, timestamp = message.timestamp()
        return self.record(message.value(), now if kind == TIMESTAMP_NOT_AVAILABLE else min(timestamp, now))


def refuse_impossible_version(version: int, came: float) -> None:
    """A version is at most the number of seconds since 2020 when it came (ms): none is made more often, and so none with an
    invented version stays the newest for ever. Raises `Unreadable`."""
    if version > (came - _FIRST_VERSIONS_MS) / 1000:
        raise Unreadable(f"its version {version} is higher than any table can have by then")


def publish(topic: str, kafka: KafkaConfig, key: str, value: bytes) -> None:
    """Put a record on its topic, durably; compaction keeps a key's newest. Raises KafkaError."""
    producer = KafkaProducer(**kafka.for_kafka_python(), acks="all")
    try:
        producer.send(topic, key=key.encode(), value=value).get(_SEND_SECONDS)
    finally:
        producer.close()
