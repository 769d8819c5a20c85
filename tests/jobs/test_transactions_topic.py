from collections.abc import Iterator

import pytest
from confluent_kafka import Producer
from kafka.errors import UnknownTopicOrPartitionError

from jobs.source.transactions_topic import TransactionsTopic
from settings import Settings


@pytest.fixture
def topic(topics: Settings) -> Iterator[TransactionsTopic]:
    """A topic whose partition 1 has ten records, at 1,000 ms, 2,000 ms, …, and whose other partitions are empty."""
    producer = Producer({"bootstrap.servers": topics.kafka_bootstrap_servers})
    for second in range(1, 11):
        producer.produce(topics.transactions_topic, b"x", partition=1, timestamp=second * 1_000)
    producer.flush()
    return TransactionsTopic(topics)


@pytest.mark.parametrize(("time_ms", "offset"), [(0, 0), (999, 0), (1_000, 1), (5_500, 5), (10_000, 10), (99_999, 10)])
def test_the_end_at_a_time_counts_the_records_up_to_and_with_that_millisecond(
    topic: TransactionsTopic, time_ms: int, offset: int
) -> None:
    assert topic.at(time_ms).then == {0: 0, 1: offset, 2: 0, 3: 0}


def test_a_topic_that_is_not_there_is_an_error(topics: Settings) -> None:
    with pytest.raises(UnknownTopicOrPartitionError):
        TransactionsTopic(topics.model_copy(update={"transactions_topic": "nowhere"})).at(0)
