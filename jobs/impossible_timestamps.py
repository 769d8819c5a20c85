"""Skips records whose Kafka timestamp Spark cannot hold: its Kafka source fails at them, before any code of ours runs."""

import logging
import time
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from confluent_kafka import Consumer, KafkaError, TopicPartition
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import KafkaError as NotAnswered
from pyspark.sql import SparkSession

from detection.ledger import Ledger
from jobs.dead_letters import DeadLetters, SetAside
from jobs.runtime.errors import Stopping, Unavailable
from jobs.runtime.gate import Gate
from jobs.runtime.storage import DurableFolder
from jobs.source.topic_offsets import ByTopic, QueryCheckpoint
from messaging.config import KafkaConfig
from settings import Settings

MOST_MS: Final = (2**63 - 1) // 1000 - 366 * 86_400_000
"""Spark counts microseconds in 64 bits; a timestamp further from 1970 has none, or not in every time zone and calendar."""

_DETECT: Final = "detect"
_LIMIT_MS: Final = 200 * 365 * 86_400_000
_LIMITS: Final = {"message.timestamp.before.max.ms": str(_LIMIT_MS), "message.timestamp.after.max.ms": str(_LIMIT_MS)}
_AT_ONCE: Final = 10_000
_PATIENCE_SECONDS: Final = 60.0
_NAMED: Final = 5

_log = logging.getLogger(__name__)


class Place(NamedTuple):
    """Of a record, with its Kafka timestamp in ms."""

    topic: str
    partition: int
    offset: int
    kafka_time: int

    def __str__(self) -> str:
        return f"partition {self.partition}, offset {self.offset} of {self.topic} (timestamp {self.kafka_time})"


class Way(NamedTuple):
    """Where a micro-batch starts and ends so that no record is in it that Spark cannot hold, and the records it passes."""

    start: ByTopic
    end: ByTopic
    passed: list[Place]


def go_round(spark: SparkSession, settings: Settings, query: str, said: str, gate: Gate) -> Exception | None:  # noqa: ARG001
    """Cut the micro-batch that Spark failed at so that it can read it; None where no such record is found in it.

    The micro-batch has neither been judged nor written: what it reads comes before all it does. The records
    where it starts are passed, by detect with a dead letter each; it ends before the next one of each partition, which the
    micro-batch after it fails at and passes. Repeated after a kill, it gives the same.
    """
    checkpoint = QueryCheckpoint(spark, f"{settings.checkpoint}/{query}")
    planned = checkpoint.uncommitted()
    if planned is None:
        return None
    start, end = checkpoint.of(planned)
    way = way_round(start, end, _stamps(settings, start, end, lambda: gate.closed))
    if (way.start, way.end) == (start, end):
        return None
    own = [place for place in way.passed if place.topic == settings.transactions_topic]
    if query == _DETECT and own:
        letters = {(place.partition, place.offset): SetAside(_reason(place)) for place in own}
        DeadLetters(spark, settings).write(letters, lambda: gate.closed)
    if query == _DETECT:
        Ledger(DurableFolder(spark, f"{settings.checkpoint}/ledger"), settings.ledger_ranges).forget(planned)
    checkpoint.plan_again(planned, way.start, way.end)
    if way.passed:
        _tell(way.passed, query)
    for topic in sorted(end):
        _limit(settings, topic)
    return Unavailable(
        f"micro-batch {planned} held records whose Kafka timestamp Spark cannot hold; it goes on without them"
    )


def way_round(start: ByTopic, end: ByTopic, records: Iterator[Place]) -> Way:
    """What to read instead of a micro-batch. records: all of it, those of a partition in the order of their offsets."""
    starts = {topic: dict(offsets) for topic, offsets in start.items()}
    ends = {topic: dict(offsets) for topic, offsets in end.items()}
    passed: list[Place] = []
    readable: set[tuple[str, int]] = set()
    cut: set[tuple[str, int]] = set()
    for record in records:
        whole, partition = (record.topic, record.partition), str(record.partition)
        if whole in cut:
            continue
        if abs(record.kafka_time) <= MOST_MS:
            readable.add(whole)
        elif whole in readable:
            ends[record.topic][partition] = record.offset
            cut.add(whole)
        else:
            starts.setdefault(record.topic, {})[partition] = record.offset + 1
            passed.append(record)
    return Way(starts, ends, passed)


def _stamps(settings: Settings, start: ByTopic, end: ByTopic, stopping: Callable[[], bool]) -> Iterator[Place]:
    """The records of a micro-batch, without their content. Raises `Unavailable` where Kafka is silent for a minute."""
    spans = {
        (topic, int(partition)): (start.get(topic, {}).get(partition, 0), last)
        for topic, offsets in end.items()
        for partition, last in offsets.items()
    }
    missing = {place for place, (first, last) in spans.items() if first < last}
    quiet = {"group.id": "scoreline-timestamps", "enable.auto.commit": "false", "auto.offset.reset": "earliest"}
    kafka = KafkaConfig.from_settings(settings).for_confluent_consumer()
    consumer = Consumer({**kafka, **quiet, "enable.partition.eof": "true", "log_level": "2"})
    try:
        consumer.assign([TopicPartition(*place, spans[place][0]) for place in sorted(missing)])
        heard = time.monotonic()
        while missing:
            if stopping():
                raise Stopping
            if time.monotonic() - heard > _PATIENCE_SECONDS:
                raise Unavailable("Kafka does not answer while records with impossible timestamps are searched")
            for message in consumer.consume(_AT_ONCE, 1.0):
                place, offset = (message.topic() or "", message.partition() or 0), message.offset() or 0
                error = message.error()
                if error is not None and error.code() != KafkaError._PARTITION_EOF:
                    continue
                heard = time.monotonic()
                if error is not None or offset >= spans[place][1]:
                    missing.discard(place)
                elif place in missing:
                    yield Place(*place, offset, message.timestamp()[1])
    finally:
        consumer.close()


def _reason(place: Place) -> str:
    return (
        f"the record's Kafka timestamp, {place.kafka_time}, cannot be held by Spark: "
        "it is in milliseconds since 1970, some 292,000 years at most"
    )


def _tell(passed: list[Place], query: str) -> None:
    named = "; ".join(map(str, passed[:_NAMED])) + (" …" if len(passed) > _NAMED else "")
    became = "each is a dead letter" if query == _DETECT else f"{query} skips them"
    _log.error("passed %d records whose Kafka timestamp Spark cannot hold, %s: %s", len(passed), became, named)


def _limit(settings: Settings, topic: str) -> None:
    """Let the broker refuse further such records, where this user may change the topic; each costs a start of the query."""
    by_hand = f"kafka-configs.sh --alter --entity-type topics --entity-name {topic} --add-config " + ",".join(
        f"{name}={value}" for name, value in _LIMITS.items()
    )
    options = KafkaConfig.from_settings(settings).for_kafka_python()
    try:
        with KafkaAdminClient(**options, bootstrap_timeout_ms=3_000, request_timeout_ms=3_000) as admin:
            asked = ConfigResource(ConfigResourceType.TOPIC, topic, dict.fromkeys(_LIMITS))
            wanted = _stricter(next(iter(admin.describe_configs([asked], config_filter="all").values()))[topic])
            if not wanted:
                return
            done = admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, wanted)])
            answer = next(iter(done.values()))[topic]
    except (NotAnswered, LookupError, TypeError, ValueError) as error:
        answer = repr(error)
    if answer == "OK":
        _log.warning("the topic %s now refuses such timestamps: set %s", topic, wanted)
    else:
        _log.error("the topic %s still takes such timestamps (%s). Let it refuse them: %s", topic, answer, by_hand)


def _stricter(found: dict[str, Any]) -> dict[str, str]:
    """Those of the limits that the topic does not keep yet."""
    has = {name: int(found[name]["value"]) for name in _LIMITS}
    return {name: value for name, value in _LIMITS.items() if has[name] > int(value)}
