"""Kafka timestamps that Spark cannot hold, on topics that take them: they cost their own records, and nothing else."""

import time
from collections import Counter
from typing import Any

import msgspec
import pytest
from confluent_kafka import Producer
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType

from settings import Settings
from stack.local import Stack
from tests.integration.application import Application
from tests.integration.test_panels import points
from tests.integration.traffic import messages, traffic
from tests.support.kafka import count_records, read_topic

ANY_TIME = {
    "message.timestamp.type": "CreateTime",
    "message.timestamp.before.max.ms": str(2**63 - 1),
    "message.timestamp.after.max.ms": str(2**63 - 1),
}
HELD = [1_773_000_000_000, 9_190_000_000_000_000, 4_102_444_800_000]
NOT_HELD = [-9 * 10**18, 9 * 10**18, -9_300_000_000_000_000, 9_300_000_000_000_000, -(10**18), 2**62]


def take_any_time(settings: Settings, *topics: str) -> None:
    with KafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap_servers) as admin:
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, ANY_TIME) for topic in topics])


def refused(producer: Producer, topic: str, partition: int, key: bytes | None, value: bytes, time_ms: int) -> Any:
    """Send a record; what the broker has against it."""
    answers: list[Any] = []
    producer.produce(
        topic, value, key, partition, timestamp=time_ms, on_delivery=lambda error, _: answers.append(error)
    )
    producer.flush(30)
    return answers[0]


def put(producer: Producer, *record: Any) -> None:
    """Send a record; the topic's limits may take a moment to go."""
    deadline = time.monotonic() + 120
    while (error := refused(producer, *record)) is not None:
        assert time.monotonic() < deadline, error
        time.sleep(0.2)


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(900)
def test_impossible_timestamps_on_every_topic_cost_their_own_records_and_nothing_else(
    settings: Settings, stack: Stack
) -> None:
    settings = settings.model_copy(
        update={"publish_interval_seconds": 0.5, "adaptive_thresholds": True, "thresholds_interval_seconds": 0.5}
    )
    topics = settings.transactions_topic, settings.scores_topic, settings.invalid_topic
    take_any_time(settings, *topics)
    producer = Producer({"bootstrap.servers": settings.kafka_bootstrap_servers, "linger.ms": 0})
    sent = messages(traffic(60, customers=10, seed=91))
    # The first record of a partition, two in a row, one between others, the last one; and one partition of nothing else.
    dead = {
        (0, 0): NOT_HELD[0],
        (1, 0): NOT_HELD[1],
        (1, 1): NOT_HELD[2],
        (2, 5): NOT_HELD[3],
        (2, 9): NOT_HELD[4],
        (3, 0): NOT_HELD[5],
    }
    good, offsets = list(sent), Counter[int]()
    while good or any(place[1] >= offsets[place[0]] for place in dead):
        for partition in range(4):
            place = partition, offsets[partition]
            if place in dead:
                put(producer, settings.transactions_topic, partition, b"k", b"x", dead[place])
            elif partition != 3 and good:
                key, value = good.pop()
                put(producer, settings.transactions_topic, partition, key, value, HELD[len(good) % 3])
            else:
                continue
            offsets[partition] += 1
    for topic in (settings.scores_topic, settings.invalid_topic):
        for number, time_ms in enumerate(NOT_HELD):
            put(producer, topic, number % 4, None, b"{}", time_ms)

    with Application(settings) as application:
        application.wait_until(lambda: points(settings, stack) == 60, "60 points")
        application.wait_until(
            lambda: count_records(settings.kafka_bootstrap_servers, settings.invalid_topic) == 12, "the dead letters"
        )
        # Where such records are met, the topic refuses further ones.
        assert "imestamp" in str(refused(producer, settings.transactions_topic, 0, b"k", b"x", NOT_HELD[0]))
        late = messages(traffic(20, customers=10, seed=92))
        for key, value in late:
            put(producer, settings.transactions_topic, 3, key, value, HELD[0])
        application.wait_until(lambda: points(settings, stack) == 80, "80 points")
        assert application.stop() == 0
    scored = Counter(
        score["transaction_id"]
        for record in read_topic(settings.kafka_bootstrap_servers, settings.scores_topic)
        if "transaction_id" in (score := msgspec.json.decode(record.value))
    )
    assert scored == Counter(msgspec.json.decode(value)["transaction_id"] for _, value in [*sent, *late])
    letters = [r for r in read_topic(settings.kafka_bootstrap_servers, settings.invalid_topic) if r.headers]
    named = {
        (int(headers["partition"]), int(headers["offset"])): int(headers["kafka_time"])
        for headers in (dict(record.headers) for record in letters)
    }
    assert named == dead
    assert {record.value for record in letters} == {b"x"}
    assert "passed 1 records whose Kafka timestamp" in application.log or "passed 2 records" in application.log
