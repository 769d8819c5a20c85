"""How far the topics reach, asked of Kafka, and how many records wait there: what a reader of committed records sees."""

from contextlib import closing
from typing import Final, NamedTuple

from kafka import KafkaConsumer, TopicPartition

from jobs.runtime.progress import Offsets
from jobs.runtime.record_counts import COUNTING_SECONDS, Place, Span, count_records
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


class Waiting(NamedTuple):
    """Records that are not read yet. exact: they were counted; else some are offsets, and there are at most so many records."""

    records: int
    exact: bool


def waiting(
    settings: Settings, read: Offsets, beginnings: Offsets, ends: Offsets, seconds: float = COUNTING_SECONDS
) -> Waiting:
    """What lies between what was read and the ends. Where that is some thousand offsets, it is read and counted."""
    found = spans(read, beginnings, ends)
    counts = count_records(settings, found, seconds)
    return Waiting(
        sum(counts.get(place, end - start) for place, (start, end) in found.items()), found.keys() <= counts.keys()
    )


def spans(read: Offsets, beginnings: Offsets, ends: Offsets) -> dict[Place, Span]:
    """The offsets that were not read yet, by topic and partition; without those that have none.

    >>> spans({"a": {"0": 5}}, {"a": {"0": 2, "1": 3, "2": 0}}, {"a": {"0": 9, "1": 4, "2": 0}})
    {('a', 0): (5, 9), ('a', 1): (3, 4)}
    """
    return {
        (topic, int(partition)): (start, end)
        for topic, partitions in ends.items()
        for partition, end in partitions.items()
        if (start := max(beginnings[topic][partition], read.get(topic, {}).get(partition, 0))) < end
    }


def lag(read: Offsets, beginnings: Offsets, ends: Offsets) -> int:
    """Offsets between what was read and the ends: at least as many as records, for marks of transactions have some too.

    >>> lag({"a": {"0": 5}}, {"a": {"0": 2, "1": 3}}, {"a": {"0": 9, "1": 4}})
    5
    """
    return sum(end - start for start, end in spans(read, beginnings, ends).values())
