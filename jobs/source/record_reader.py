"""Reads single records of a topic by their place, in the JVM, so that even one of many MB never comes to Python."""

from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, Self

from pyspark.sql import SparkSession

from jobs.source.java_clients import java_consumer
from settings import Settings

_CONSUMER: Final = {
    "key.deserializer": "org.apache.kafka.common.serialization.ByteBufferDeserializer",
    "value.deserializer": "org.apache.kafka.common.serialization.ByteBufferDeserializer",
    # Of an unpacked batch only so much is in memory; the broker sends a batch that is larger than a fetch anyway.
    "max.poll.records": "1",
    "max.partition.fetch.bytes": str(1 << 20),
    "enable.auto.commit": "false",
    "auto.offset.reset": "earliest",
    # A place is only asked for where the record has been read before, in a transaction or not.
    "isolation.level": "read_uncommitted",
}


class JavaRecord:
    """A record that stays in the JVM. key and value are ByteBuffers there, or None."""

    def __init__(self, jvm: Any, record: Any) -> None:
        self._jvm = jvm
        self.key = record.key()
        self.value = record.value()
        self.key_bytes = max(0, record.serializedKeySize())
        self.value_bytes = max(0, record.serializedValueSize())
        self.kafka_time = int(record.timestamp())

    @property
    def size(self) -> int:
        """Bytes of key and value."""
        return int(self.key_bytes + self.value_bytes)

    def key_head(self, most_bytes: int) -> Any:
        """The key's first bytes, as a ByteBuffer."""
        return _head(self.key, self.key_bytes, most_bytes)

    def value_head(self, most_bytes: int) -> Any:
        """The value's first bytes, as a ByteBuffer."""
        return _head(self.value, self.value_bytes, most_bytes)

    def value_sha256(self) -> str:
        """SHA-256 of the value, hexadecimal; of no bytes where it is null."""
        digest = self._jvm.java.security.MessageDigest.getInstance("SHA-256")
        if self.value is not None:
            whole = self.value.duplicate()
            whole.rewind()
            digest.update(whole)
        return bytes(digest.digest()).hex()


class RecordReader:
    """A consumer for one topic; a context manager."""

    def __init__(self, spark: SparkSession, settings: Settings, topic: str) -> None:
        jvm: Any = spark._jvm
        self._jvm = jvm
        self._topic = topic
        self._consumer = java_consumer(spark, settings, _CONSUMER)
        self._assigned: int | None = None
        self._next: int | None = None

    def read(self, partition: int, offset: int, waiting: Callable[[], None]) -> JavaRecord | None:
        """The record at a place, or None where Kafka no longer has it. `waiting` is called each second, and may raise."""
        at = self._jvm.org.apache.kafka.common.TopicPartition(self._topic, partition)
        if self._assigned != partition:
            assignment = self._jvm.java.util.ArrayList()
            assignment.add(at)
            self._consumer.assign(assignment)
            self._assigned, self._next = partition, None
        if self._next != offset:
            self._consumer.seek(at, offset)
        self._next = None
        while True:
            records = self._consumer.poll(self._jvm.java.time.Duration.ofSeconds(1))
            if not records.isEmpty():
                record = records.iterator().next()
                if record.offset() != offset:
                    return None
                self._next = offset + 1
                return JavaRecord(self._jvm, record)
            waiting()
            if self._consumer.position(at) != offset:  # it was compacted or deleted
                return None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._consumer.close(self._jvm.java.time.Duration.ofSeconds(5))


def _head(buffer: Any, size: int, most_bytes: int) -> Any:
    if buffer is None or size <= most_bytes:
        return buffer
    head = buffer.duplicate()
    head.limit(most_bytes)
    return head
