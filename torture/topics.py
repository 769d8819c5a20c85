"""Reads topics whole, committed records only: a million of them in little memory."""

import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, overload

import numpy as np
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from messaging.config import KafkaConfig
from torture.reference import Log

AT_ONCE: Final = 10_000
_TIMEOUT_SECONDS: Final = 60.0
_WAIT_SECONDS: Final = 0.2


class Spool(Sequence[bytes | None]):
    """Many byte strings in a file without a name, found by number: each costs 16 bytes of memory."""

    def __init__(self, folder: Path) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  # it lives as long as this object
        self._ends: list[int] = []
        self._missing: set[int] = set()
        self._end = 0
        self._read = False

    def close(self) -> None:
        """Delete the file."""
        self._file.close()

    def append(self, content: bytes | None) -> None:
        """Add one more."""
        if content is None:
            self._missing.add(len(self._ends))
        else:
            if self._read:
                self._file.seek(0, 2)
                self._read = False
            self._file.write(content)
            self._end += len(content)
        self._ends.append(self._end)

    def __len__(self) -> int:
        return len(self._ends)

    @overload
    def __getitem__(self, number: int) -> bytes | None: ...
    @overload
    def __getitem__(self, number: slice) -> Sequence[bytes | None]: ...
    def __getitem__(self, number: int | slice) -> bytes | Sequence[bytes | None] | None:
        if isinstance(number, slice):
            return [self[k] for k in range(*number.indices(len(self)))]
        if number in self._missing:
            return None
        begin = self._ends[number - 1] if number else 0
        self._file.seek(begin)
        self._read = True
        return self._file.read(self._ends[number] - begin)


def records(servers: str, topic: str) -> Iterator[list[Any]]:
    """All committed records of a topic up to its present end, as confluent-kafka's messages, in pieces.

    The records of a partition come in the order of their offsets. Raises KafkaException, and TimeoutError where nothing
    comes for a minute.
    """
    consumer = Consumer(
        {
            **KafkaConfig(servers).for_confluent_consumer(),
            "group.id": "torture",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
            "fetch.message.max.bytes": 16 << 20,
            "queued.max.messages.kbytes": 128 << 10,
            "log_level": 2,
        }
    )
    try:
        metadata = consumer.list_topics(topic, timeout=_TIMEOUT_SECONDS).topics[topic]
        open_partitions = set(metadata.partitions)
        consumer.assign([TopicPartition(topic, number, 0) for number in metadata.partitions])
        heard = time.monotonic()
        while open_partitions:
            messages = consumer.consume(AT_ONCE, _WAIT_SECONDS)  # it waits so long for the last of so many
            if messages:
                heard = time.monotonic()
            elif time.monotonic() > heard + _TIMEOUT_SECONDS:
                raise TimeoutError(f"topic {topic}: nothing came from Kafka in {_TIMEOUT_SECONDS:.0f} s")
            found = []
            for message in messages:
                error = message.error()
                if error is None:
                    if message.partition() in open_partitions:
                        found.append(message)
                elif error.code() == KafkaError._PARTITION_EOF:
                    open_partitions.discard(message.partition())
                else:
                    raise KafkaException(error)
            yield found
    finally:
        consumer.close()


def log_of(servers: str, topic: str, folder: Path) -> Log:
    """The transactions topic; keys and values are in a file in `folder`."""
    keys, values = Spool(folder), Spool(folder)
    places: list[np.ndarray] = [np.zeros((0, 3), np.int64)]
    for messages in records(servers, topic):
        for message in messages:
            keys.append(message.key())
            values.append(message.value())
        rows = [(message.partition(), message.offset(), message.timestamp()[1]) for message in messages]
        places.append(np.array(rows, np.int64).reshape(-1, 3))
    partition, offset, kafka_time = np.concatenate(places).T.copy()
    return Log(partition, offset, kafka_time, keys, values)
