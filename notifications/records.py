"""Reads alerts and events from Kafka, from offsets that the caller keeps."""

import logging
from collections.abc import Mapping
from typing import Any, Final

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

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
        self._assigned: set[tuple[str, int]] = set()

    def assign(self, offsets: Offsets, from_end: bool) -> None:
        """Read on at the offsets; where a partition has none, from its beginning, or at the first start from its end.

        Partitions that were added are found by another call. `offsets` gains the places at which reading begins.
        """
        found: list[TopicPartition] = []
        for topic in self._topics:
            for partition in self._partitions(topic):
                known = offsets.setdefault(topic, {})
                if partition not in known:
                    known[partition] = self._end(topic, partition) if from_end else 0
                if (topic, partition) not in self._assigned:
                    found.append(TopicPartition(topic, partition, known[partition] or OFFSET_BEGINNING))
        if found:
            self._consumer.incremental_assign(found)
            self._assigned |= {(each.topic, each.partition) for each in found}

    def read(self, wait_seconds: float, offsets: Offsets) -> tuple[list[Item], Mapping[str, int]]:
        """The next items, and by topic how many records were none; `offsets` goes behind them."""
        items: list[Item] = []
        unreadable: dict[str, int] = {}
        for message in self._consumer.consume(_AT_ONCE, wait_seconds):
            if message.error() is not None:
                _log_error(message.error())
                continue
            topic, partition, offset = str(message.topic()), int(message.partition() or 0), int(message.offset() or 0)
            offsets.setdefault(topic, {})[partition] = offset + 1
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
        return int(self._consumer.get_watermark_offsets(TopicPartition(topic, partition), _ANSWER_SECONDS)[1])


def item_of(value: bytes | None) -> Item:
    """The item of an alert's record. Raises `Unreadable`."""
    try:
        score = read_score(value)
        return of_score(score, f"{score.partition}/{score.offset}")
    except Unreadable:
        raise
    except Exception as error:  # noqa: BLE001  # bytes of others
        raise Unreadable((str(error) or type(error).__name__)[:200]) from None


def _log_error(error: KafkaError | None) -> None:
    if error is None:
        return
    level = logging.INFO if error.code() in (KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN) else logging.WARNING
    _log.log(level, "Kafka: %s", error.str())


KafkaProblem = KafkaException
