"""Which table of thresholds a micro-batch is judged by: polls the topic of tables."""

import logging
import time
from collections.abc import Callable
from contextlib import closing
from typing import Final

import msgspec
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

from jobs.left_out import LeftOut
from messaging.config import KafkaConfig
from messaging.poller import Poller
from ml.features import DAY
from ml.schema import DIGEST_DIGITS, Reader, Unreadable
from ml.thresholds.table import Table

_log = logging.getLogger(__name__)

_POLL_SECONDS: Final = 1.0
_PAUSE_SECONDS: Final = 0.1
_SEND_SECONDS: Final = 30.0
_ANSWER_SECONDS: Final = 10.0
_READING_SECONDS: Final = 60.0
_PARTITIONS_SECONDS: Final = 30.0
_AT_ONCE: Final = 1_000
_FIRST_TABLES_MS: Final = 1_577_836_800_000
_CONSUMER: Final = {
    "group.id": "thresholds",  # librdkafka wants one; nothing is committed, partitions are assigned by hand
    "enable.auto.commit": False,
    "enable.partition.eof": True,
    "auto.offset.reset": "earliest",
    "log_level": 2,
}

_tables: Final = Reader(Table)


class ThresholdPoller(Poller):
    """The newest table on the topic for each model; before one is read, the newest that is kept.

    key: the key of our tables, the model's name; None for any.
    """

    def __init__(self, topic: str, kafka: KafkaConfig, kept: Table | None, key: str | None = None) -> None:
        super().__init__(f"the topic {topic}", _PAUSE_SECONDS)
        self._reader = TableReader(topic, kafka, key)
        self._newest: dict[str, Table] = {} if kept is None else {kept.model_digest: kept}

    def current(self, model_digest: str) -> Table | None:
        """The table for a new micro-batch that this model judges; None for the model's own threshold. Never waits."""
        latest = max((table.until for table in self._newest.values()), default=0)
        table = self._newest.get(model_digest[:DIGEST_DIGITS])
        return table if table is not None and table.until > latest - DAY else None

    @property
    def in_use(self) -> str:
        """See `Poller`."""
        versions = sorted(table.version for table in self._newest.values())
        return f"table {versions[-1]}" if versions else "the model's own threshold"

    def look(self) -> None:
        """See `Poller`."""
        for table in self._reader.read(_POLL_SECONDS):
            known = self._newest.get(table.model_digest)
            if known is None or table.version > known.version:
                self._newest = {**self._newest, table.model_digest: table}
                _log.info("table %d of thresholds, for version %d of the model", table.version, table.model_version)

    def _poll(self, wanted: Callable[[], bool]) -> None:
        try:
            super()._poll(wanted)
        finally:
            self._reader.close()


class TableReader:
    """Reads our tables from their topic, from its beginning on. Foreign records are left out, counted and logged.

    A table of ours has the model's name for its key. Its version is at most the number of seconds since 2020 when it came:
    no table is made more often, and so none with an invented version stays the newest for ever. It was made from scores
    that had come before.
    """

    def __init__(self, topic: str, kafka: KafkaConfig, key: str | None = None) -> None:
        self._topic = topic
        self._options = kafka.for_confluent_consumer() | _CONSUMER
        self._key = None if key is None else key.encode()
        self._consumer: Consumer | None = None
        self._partitions: set[int] = set()
        self._unread: set[int] = set()
        self._looked = 0.0
        self._left_out = LeftOut(f"of {topic}, being no tables of thresholds of ours")

    def read(self, seconds: float) -> list[Table]:
        """The next tables; waits for the first at most so long. Raises `KafkaException`."""
        if self._consumer is None or time.monotonic() - self._looked > _PARTITIONS_SECONDS:
            self._assign()
        assert self._consumer is not None
        found: list[Table] = []
        for message in self._consumer.consume(_AT_ONCE, seconds):
            error = message.error()
            if error is None:
                try:
                    found.append(self._table(message))
                except Unreadable as why:
                    self._left_out.add(1, f"at partition {message.partition()}, offset {message.offset()}: {why}")
            elif error.code() == KafkaError._PARTITION_EOF:
                self._unread.discard(message.partition())
            elif error.code() not in (KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN):
                raise KafkaException(error)
        self._left_out.add(0, None)
        return found

    def read_all(self) -> list[Table]:
        """All tables up to the topic's end as it is now. Raises `KafkaException` where Kafka does not give them."""
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
        except BaseException:
            consumer.close()
            self._consumer = None
            raise
        if self._consumer is None or set(listed.partitions) != self._partitions:
            self._partitions, self._unread = set(listed.partitions), set(listed.partitions)
            consumer.assign([TopicPartition(self._topic, number, OFFSET_BEGINNING) for number in self._partitions])
        self._consumer, self._looked = consumer, time.monotonic()

    def _table(self, message: Message) -> Table:
        if self._key is not None and message.key() != self._key:
            raise Unreadable(f"its key is {message.key()!r:.50}, ours is {self._key!r}")
        table = _tables.read(message.value())
        now = time.time() * 1000
        kind, timestamp = message.timestamp()
        came = now if kind == TIMESTAMP_NOT_AVAILABLE else min(timestamp, now)
        if table.version > (came - _FIRST_TABLES_MS) / 1000:
            raise Unreadable(f"its version {table.version} is higher than any table can have by then")
        if not 0 <= table.since <= table.until <= came + DAY:
            raise Unreadable(f"scores from {table.since} to {table.until} can't have been counted by then")
        return table


def newest_table(topic: str, kafka: KafkaConfig, key: str | None = None) -> Table | None:
    """The table with the highest version that the topic holds. Raises `KafkaException`."""
    with closing(TableReader(topic, kafka, key)) as reader:
        return max(reader.read_all(), key=lambda table: table.version, default=None)


def publish_table(topic: str, kafka: KafkaConfig, key: str, table: Table) -> None:
    """Put a table on its topic, durably; compaction keeps a key's newest. Raises KafkaError."""
    producer = KafkaProducer(**kafka.for_kafka_python(), acks="all")
    try:
        producer.send(topic, key=key.encode(), value=msgspec.json.encode(table)).get(_SEND_SECONDS)
    finally:
        producer.close()
