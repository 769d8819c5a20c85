"""How large a topic's records are once they are unpacked: a sample, read before the query reads them."""

import logging
import time
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession

from jobs.source.java_clients import java_consumer
from settings import Settings

_log = logging.getLogger(__name__)

PLACES: Final = 24
A_PLACE: Final = 20
_SECONDS: Final = 10.0
_CONSUMER: Final = {
    "key.deserializer": "org.apache.kafka.common.serialization.ByteBufferDeserializer",
    "value.deserializer": "org.apache.kafka.common.serialization.ByteBufferDeserializer",
    "max.poll.records": "1",  # an unpacked record may be a thousand times what the broker sent
    "max.partition.fetch.bytes": str(64 << 10),
    "enable.auto.commit": "false",
    "auto.offset.reset": "earliest",
}


class Sizes(NamedTuple):
    """Of some records the mean and the largest, in bytes of key and value."""

    mean: float
    largest: int


def places(begin: Mapping[int, int], end: Mapping[int, int], most: int) -> list[tuple[int, int]]:
    """At most so many (partition, offset), spread evenly over begin ≤ offset < end of all partitions together.

    >>> places({0: 0, 1: 10}, {0: 100, 1: 10, 2: 300}, 4)
    [(0, 0), (2, 0), (2, 100), (2, 200)]
    >>> places({0: 5}, {0: 7}, 4)
    [(0, 5), (0, 6)]
    """
    lags = {partition: max(0, last - begin.get(partition, 0)) for partition, last in end.items()}
    total = sum(lags.values())
    count = min(most, total)
    found, before = [], 0
    for partition in sorted(lags):
        for k in range(count):
            inside = k * total // count - before
            if 0 <= inside < lags[partition]:
                found.append((partition, begin.get(partition, 0) + inside))
        before += lags[partition]
    return found


def next_ends(begin: Mapping[int, int], end: Mapping[int, int], most: int) -> dict[int, int]:
    """Where the next so many records end, of which each partition gives a share by how many it has, as Spark plans them.

    >>> next_ends({0: 0, 1: 10}, {0: 300, 1: 110}, 100), next_ends({0: 5}, {0: 7}, 100)
    ({0: 75, 1: 35}, {0: 7})
    """
    lags = {partition: max(0, last - begin.get(partition, 0)) for partition, last in end.items()}
    total = max(1, sum(lags.values()))
    return {p: begin.get(p, 0) + min(lag, -(-lag * most // total)) for p, lag in lags.items()}


def sample(spark: SparkSession, settings: Settings, topic: str, since: Mapping[int, int] | None) -> Sizes | None:
    """Sizes of some records from an offset of each partition on, from the first one where None is given.

    Half of them are of the next micro-batch, which may hold others than the many that wait behind it; where the two differ,
    the larger mean counts. None where there are none to look at, or the broker does not show them in ten seconds.
    """
    jvm: Any = spark._jvm
    consumer = java_consumer(spark, settings, _CONSUMER)
    try:
        return _sampled(jvm, consumer, topic, since, settings.max_offsets_per_trigger)
    except Py4JJavaError as error:
        _log.warning("the sizes of %s's records can't be looked at: %s", topic, str(error.java_exception)[:300])
        return None
    finally:
        consumer.close(jvm.java.time.Duration.ofSeconds(5))


def _sampled(jvm: Any, consumer: Any, topic: str, since: Mapping[int, int] | None, most: int) -> Sizes | None:
    until = time.monotonic() + _SECONDS
    partitions = jvm.java.util.ArrayList()
    for info in consumer.partitionsFor(topic):
        partitions.add(jvm.org.apache.kafka.common.TopicPartition(topic, info.partition()))
    first, end = (_offsets(found) for found in (consumer.beginningOffsets(partitions), consumer.endOffsets(partitions)))
    begin = first if since is None else {p: max(first[p], since.get(p, first[p])) for p in first}
    soon = next_ends(begin, end, most)
    parts = [places(begin, soon, PLACES // 2), places(soon, end, PLACES // 2)]
    found = [sizes for part in parts if (sizes := _sizes_at(jvm, consumer, topic, part, until))]
    return Sizes(max(sum(sizes) / len(sizes) for sizes in found), max(map(max, found))) if found else None


def _sizes_at(jvm: Any, consumer: Any, topic: str, where: list[tuple[int, int]], until: float) -> list[int]:
    half_a_second = jvm.java.time.Duration.ofMillis(500)
    sizes: list[int] = []
    for partition, offset in where:
        at = jvm.org.apache.kafka.common.TopicPartition(topic, partition)
        assignment = jvm.java.util.ArrayList()
        assignment.add(at)
        consumer.assign(assignment)
        consumer.seek(at, offset)
        for _ in range(A_PLACE):
            if time.monotonic() > until:
                break
            records = consumer.poll(half_a_second)
            if records.isEmpty():  # the end, or what a transaction has not committed
                break
            record = records.iterator().next()
            sizes.append(max(0, record.serializedKeySize()) + max(0, record.serializedValueSize()))
    return sizes


def _offsets(found: Any) -> dict[int, int]:
    return {partition.partition(): int(offset) for partition, offset in found.items()}
