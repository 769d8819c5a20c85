"""Reads alerts and events from Kafka, from offsets that the caller keeps."""

import logging
from collections.abc import Mapping
from typing import Any, Final

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient

from detection.score_json import read as read_score
from messaging.config import KafkaConfig
from messaging.unreachable import why_unreachable
from ml.schema import Event, Reader, Unreadable
from notifications.items import Item, of_event, of_score

_log = logging.getLogger(__name__)

_ANSWER_SECONDS: Final = 10.0
_AT_ONCE: Final = 500
_events: Final = Reader(Event)

Offsets = dict[str, dict[int, int]]
"""By topic, as NAME#ID, and partition: the next record to read."""


class Records:
    """The records of some topics. events: which of them is the one of events. Raises nothing while Kafka is unavailable."""

    def __init__(self, kafka: KafkaConfig, alerts: tuple[str, ...], events: str) -> None:
        self._kafka = kafka
        self._topics = (*alerts, events)
        self._events = events
        self._consumer = Consumer(
            {
                **kafka.for_confluent_consumer(),
                "group.id": "notify",  # required, and never used: the state keeps the offsets
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",  # of offsets that are gone: what is left is read
                "queued.max.messages.kbytes": 16_384,
                "log_level": 2,
            }
        )
        self._admin = AdminClient({**kafka.for_confluent(), "log_level": 2})
        self._names: dict[str, str] = {}
        self._assigned: dict[tuple[str, int], str] = {}

    def assign(self, offsets: Offsets, from_end: bool) -> None:
        """Read on at the offsets; where a partition has none, from its beginning, or at the first start from its end.

        Partitions that were added are found by another call, and topics that were made again. `offsets` gains the places at
        which reading begins.
        """
        found: list[TopicPartition] = []
        for topic in self._topics:
            for partition in self._partitions(topic):
                known = self._known(topic, offsets)
                if partition not in known:
                    known[partition] = self._end(topic, partition) if from_end else 0
                if self._assigned.get((topic, partition)) != self._names[topic]:
                    found.append(TopicPartition(topic, partition, known[partition] or OFFSET_BEGINNING))
        before = [
            TopicPartition(*place) for place in self._assigned if place in {(e.topic, e.partition) for e in found}
        ]
        if before:
            self._consumer.incremental_unassign(before)
        if found:
            self._consumer.incremental_assign(found)
            self._assigned |= {(each.topic, each.partition): self._names[each.topic] for each in found}

    def _known(self, topic: str, offsets: Offsets) -> dict[int, int]:
        """The offsets of a topic as it is now, by its name and id: one that was made again has none of those before."""
        asked = self._admin.describe_topics(TopicCollection([topic]), request_timeout=_ANSWER_SECONDS)[topic]
        try:
            name = self._names[topic] = f"{topic}#{asked.result(2 * _ANSWER_SECONDS).topic_id}"
        except TimeoutError:
            raise _silent() from None
        if name not in offsets:
            offsets[name] = offsets.get(topic, {})  # as the first states were written, without ids
        for other in [each for each in offsets if each.partition("#")[0] == topic and each != name]:
            del offsets[other]
            if "#" in other:
                _log.warning("the topic %s was made again: it is read from its beginning", topic)
        return offsets[name]

    def read(self, wait_seconds: float, offsets: Offsets) -> tuple[list[Item], Mapping[str, int]]:
        """The next items, and by topic how many records were none; `offsets` goes behind them."""
        items: list[Item] = []
        unreadable: dict[str, int] = {}
        for message in self._consumer.consume(_AT_ONCE, wait_seconds):
            if message.error() is not None:
                _log_error(message.error())
                continue
            topic, partition, offset = str(message.topic()), int(message.partition() or 0), int(message.offset() or 0)
            offsets.setdefault(self._names[topic], {})[partition] = offset + 1
            try:
                items.append(self._item(message, topic, f"{partition}/{offset}"))
            except Unreadable as error:
                unreadable[topic] = unreadable.get(topic, 0) + 1
                _log.info("the record %s %d/%d is left out: %s", topic, partition, offset, error)
        return items, unreadable

    def trouble(self, error: KafkaException) -> str:
        """What is wrong between here and Kafka, in one line."""
        return why_unreachable(self._kafka) or (error.args[0].str() if error.args else type(error).__name__)

    def close(self) -> None:
        """Leave Kafka."""
        self._consumer.close()

    def _item(self, message: Message, topic: str, place: str) -> Item:
        value: Any = message.value()
        if topic == self._events:
            return of_event(_events.read(value), place)
        return item_of(value)

    def _partitions(self, topic: str) -> list[int]:
        found = self._consumer.list_topics(topic, _ANSWER_SECONDS).topics[topic]
        return [] if found.error is not None else sorted(found.partitions)

    def _end(self, topic: str, partition: int) -> int:
        found = self._consumer.get_watermark_offsets(TopicPartition(topic, partition), _ANSWER_SECONDS)
        if found is None:
            raise _silent()
        return int(found[1])


def item_of(value: bytes | None) -> Item:
    """The item of an alert's record. Raises `Unreadable`."""
    try:
        score = read_score(value)
        return of_score(score, f"{score.partition}/{score.offset}/{score.transaction_id}")
    except Unreadable:
        raise
    except Exception as error:  # noqa: BLE001  # bytes of others
        raise Unreadable((str(error) or type(error).__name__)[:200]) from None


def _silent() -> KafkaException:
    return KafkaException(KafkaError(KafkaError._TIMED_OUT))


def _log_error(error: KafkaError | None) -> None:
    if error is None:
        return
    level = logging.INFO if error.code() in (KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN) else logging.WARNING
    _log.log(level, "Kafka: %s", error.str())


KafkaProblem = KafkaException
