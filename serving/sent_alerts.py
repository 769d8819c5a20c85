"""Which early alerts are on their topic already, by the places of their transactions."""

import time
from collections import OrderedDict
from typing import Final

import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from messaging.config import KafkaConfig
from messaging.headers import headers_of, value_of

PLACE_HEADER: Final = "scoreline-place"
"""PARTITION/OFFSET of the transaction, by which a reader, and every replica, knows what was alerted."""

KEPT_SECONDS: Final = 120.0
"""So far back the topic is read."""

_ANSWER_SECONDS: Final = 10.0
_LONGEST_PLACE: Final = 40
"""Bytes of a place's text. Anybody may write to the topic, and Python refuses to read very long numbers."""

Place = tuple[int, int]
"""(partition, offset) of a transaction."""


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
        while self._places and next(iter(self._places.values())) < now - 2 * KEPT_SECONDS:
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
        since = round((time.time() - KEPT_SECONDS) * 1000)
        parts = [TopicPartition(self._topic, number, since) for number in listed.partitions]
        found = self._consumer.offsets_for_times(parts, _ANSWER_SECONDS)
        for part in found:
            if part.offset < 0:
                part.offset = self._consumer.get_watermark_offsets(part, _ANSWER_SECONDS)[1]
        self._next: dict[int | None, int] = {part.partition: part.offset for part in found}
        self._consumer.assign(found)


class _Alert(msgspec.Struct):
    partition: int
    offset: int


_decode: Final = msgspec.json.Decoder(_Alert).decode


def place_of(message: Message) -> Place | None:
    """The place of the transaction that an alert is of; None where its header and its value do not both say it."""
    named = value_of(headers_of(message), PLACE_HEADER) or b""
    partition, _, offset = named.partition(b"/")
    if not (partition.isdigit() and offset.isdigit()) or len(named) > _LONGEST_PLACE:
        return None
    place = int(partition), int(offset)
    try:
        alert = _decode(message.value() or b"")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return place if place == (alert.partition, alert.offset) else None
