"""How far the topics reach, asked of Kafka: of what is there for a reader of committed records."""

from contextlib import closing
from typing import Final

from kafka import KafkaConsumer, TopicPartition

from jobs.runtime.progress import Offsets
from messaging.config import KafkaConfig
from settings import Settings

_TIMEOUT_MS: Final = 4_000


def ends(settings: Settings, topics: list[str]) -> tuple[Offsets, Offsets]:
    """(beginnings, ends) by topic and partition; with read_committed an end is the last stable offset. Raises KafkaError."""
    timeouts = {"request_timeout_ms": _TIMEOUT_MS, "bootstrap_timeout_ms": _TIMEOUT_MS}
    options = KafkaConfig.from_settings(settings).for_kafka_python_consumer() | timeouts
    with closing(KafkaConsumer(**options, enable_auto_commit=False)) as consumer:
        places = [TopicPartition(topic, n) for topic in topics for n in consumer.partitions_for_topic(topic) or ()]
        beginnings, found = consumer.beginning_offsets(places), consumer.end_offsets(places)
    return _by_topic(beginnings), _by_topic(found)


def _by_topic(offsets: dict[TopicPartition, int]) -> Offsets:
    found: Offsets = {}
    for place, offset in offsets.items():
        found.setdefault(place.topic, {})[str(place.partition)] = offset
    return found


def lag(read: Offsets, beginnings: Offsets, ends: Offsets) -> int:
    """Records between what was read and the ends.

    >>> lag({"a": {"0": 5}}, {"a": {"0": 2, "1": 3}}, {"a": {"0": 9, "1": 4}})
    5
    """
    return sum(
        max(0, end - max(beginnings[topic][partition], read.get(topic, {}).get(partition, 0)))
        for topic, partitions in ends.items()
        for partition, end in partitions.items()
    )
