"""How many records lie between offsets, counted one by one: marks of Kafka's transactions are none, aborted ones neither."""

import time
from collections.abc import Mapping
from contextlib import closing
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from messaging.config import KafkaConfig
from settings import Settings

MOST_COUNTED: Final = 5_000
"""Offsets that are looked through for one answer."""

COUNTING_SECONDS: Final = 2.0

Place = tuple[str, int]
"""A topic and a partition."""

Span = tuple[int, int]
"""From an offset on to before another."""


def count_records(
    settings: Settings, spans: Mapping[Place, Span], seconds: float = COUNTING_SECONDS
) -> dict[Place, int]:
    """How many records a reader of these settings finds in each span.

    Empty where the spans are long together; without a partition that Kafka does not give in so many seconds.
    """
    if not spans or sum(end - start for start, end in spans.values()) > MOST_COUNTED:
        return {}
    options: dict[str, Any] = KafkaConfig.from_settings(settings).for_confluent_consumer() | {
        "group.id": "lag",  # librdkafka wants one; nothing is committed
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "queued.max.messages.kbytes": 16_384,
        "log_level": 2,
    }
    with closing(Consumer(options)) as consumer:
        try:
            return _counted(consumer, spans, time.monotonic() + seconds)
        except KafkaException:
            return {}


def _counted(consumer: Consumer, spans: Mapping[Place, Span], deadline: float) -> dict[Place, int]:
    consumer.assign([TopicPartition(*place, start) for place, (start, _) in spans.items()])
    counts = dict.fromkeys(spans, 0)
    missing = set(spans)
    while missing and time.monotonic() < deadline:
        for message in consumer.consume(MOST_COUNTED, 0.1):
            topic, partition, offset, error = message.topic(), message.partition(), message.offset(), message.error()
            if topic is None or partition is None or (error is not None and error.code() != KafkaError._PARTITION_EOF):
                continue
            place = topic, partition
            if error is not None or offset is None or offset >= spans[place][1]:
                missing.discard(place)
            else:
                counts[place] += 1
                if offset + 1 == spans[place][1]:
                    missing.discard(place)
    return {place: count for place, count in counts.items() if place not in missing}
