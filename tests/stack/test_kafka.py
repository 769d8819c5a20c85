"""The broker, its topics, and what it keeps."""

import uuid
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from kafka import KafkaAdminClient

from messaging.topics import LARGEST_TRANSACTION, create_topics
from settings import Settings
from stack.kafka import Kafka
from stack.local import Stack
from tests.support.kafka import read_topic


def produce(bootstrap_servers: str, topic: str, values: list[bytes]) -> None:
    producer = Producer({"bootstrap.servers": bootstrap_servers, "message.max.bytes": 2 * LARGEST_TRANSACTION})
    for value in values:
        producer.produce(topic, value, key=b"C1", timestamp=1_700_000_000_000)
    assert producer.flush(30) == 0


def test_what_was_produced_is_read_back_in_order_however_old_it_is(topics: Settings) -> None:
    values = [b"%d" % number for number in range(1_000)]
    produce(topics.kafka_bootstrap_servers, topics.transactions_topic, values)
    records = read_topic(topics.kafka_bootstrap_servers, topics.transactions_topic)
    assert [record.value for record in records] == values
    assert len({record.partition for record in records}) == 1
    assert {record.timestamp for record in records} == {1_700_000_000_000}


def test_a_transaction_of_5_mb_fits_on_its_topic_and_on_that_of_dead_letters(topics: Settings) -> None:
    huge = b"x" * 5_000_000
    for topic in (topics.transactions_topic, topics.invalid_topic):
        produce(topics.kafka_bootstrap_servers, topic, [huge])
        assert [record.value for record in read_topic(topics.kafka_bootstrap_servers, topic)] == [huge]


@pytest.mark.parametrize("timestamp", [-9_300_000_000_000_000, -(10**18), 9_300_000_000_000_000])
def test_a_timestamp_that_spark_cannot_hold_is_refused_by_the_broker(topics: Settings, timestamp: int) -> None:
    failed: list[Any] = []
    producer = Producer({"bootstrap.servers": topics.kafka_bootstrap_servers})
    for sent in (timestamp, -1_000_000_000_000):  # the second one is of 1938
        producer.produce(
            topics.transactions_topic, b"x", timestamp=sent, on_delivery=lambda error, _: failed.append(error)
        )
        producer.flush(30)
    assert [error is None for error in failed] == [False, True]
    assert "imestamp" in failed[0].str()


def test_output_records_carry_the_time_at_which_the_broker_appended_them(topics: Settings) -> None:
    for topic in (topics.scores_topic, topics.alerts_topic, topics.invalid_topic):
        produce(topics.kafka_bootstrap_servers, topic, [b"{}"])
        (record,) = read_topic(topics.kafka_bootstrap_servers, topic)
        assert record.timestamp > 1_700_000_000_000
        assert record.timestamp_type == 1


def test_creating_topics_again_leaves_them_as_they_are(topics: Settings) -> None:
    produce(topics.kafka_bootstrap_servers, topics.transactions_topic, [b"{}"])
    create_topics(topics, partitions=9)
    assert len(read_topic(topics.kafka_bootstrap_servers, topics.transactions_topic)) == 1
    with KafkaAdminClient(bootstrap_servers=topics.kafka_bootstrap_servers) as admin:
        (described,) = admin.describe_topics([topics.transactions_topic])
    assert len(described["partitions"]) == 4


def test_a_killed_broker_comes_back_on_its_port_with_its_records(stack: Stack, topics: Settings) -> None:
    produce(topics.kafka_bootstrap_servers, topics.transactions_topic, [b"before"])
    assert stack.kafka.kill()
    assert stack.kafka.pid is None
    assert stack.kafka.start()
    produce(topics.kafka_bootstrap_servers, topics.transactions_topic, [b"after"])
    records = read_topic(topics.kafka_bootstrap_servers, topics.transactions_topic)
    assert [record.value for record in records] == [b"before", b"after"]


def test_a_cluster_id_that_begins_with_a_dash_is_as_good_as_any(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uuid, "uuid4", lambda: uuid.UUID(bytes=b"\xf8" * 16))
    broker = Kafka(tmp_path / "kafka")
    try:
        broker.start()
        assert "cluster.id=-" in (tmp_path / "kafka" / "data" / "meta.properties").read_text()
    finally:
        broker.kill()
