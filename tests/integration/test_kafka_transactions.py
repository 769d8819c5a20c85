"""Producers that use Kafka's transactions: what was aborted is nobody's, what is open has not arrived yet."""

from collections.abc import Callable, Sequence

import msgspec
import pytest
from confluent_kafka import Producer
from pyspark.sql import SparkSession

from generator.live import Kafka
from generator.resume import newest_event_time
from generator.send import Topics
from jobs import publish
from jobs.runtime.lag import ends, lag, waiting
from jobs.runtime.supervisor import Gate
from jobs.source.transactions_topic import TransactionsTopic
from messaging.config import KafkaConfig
from ml.commands.topic_scores import read_scores
from ml.features.events import hash_id
from ml.schema import Transaction
from settings import Settings
from stack.local import Stack
from tests.integration.traffic import messages, scores, traffic
from tests.sinks.database import Database
from tests.support.kafka import read_topic

Detect = Callable[..., None]


@pytest.fixture
def producer(settings: Settings) -> Producer:
    made = Producer(
        {
            "bootstrap.servers": settings.kafka_bootstrap_servers,
            "transactional.id": f"{settings.transactions_topic}.producer",
            "partitioner": "murmur2_random",
        }
    )
    made.init_transactions(30)
    return made


def begin(producer: Producer, topic: str, transactions: Sequence[Transaction]) -> None:
    """Write transactions within a Kafka transaction, durably, and leave it open."""
    producer.begin_transaction()
    for key, value in messages(transactions):
        producer.produce(topic, value, key)
    assert producer.flush(30) == 0


def names(settings: Settings) -> set[str]:
    return {score["transaction_id"] for score in scores(settings).values()}


@pytest.mark.timeout(600)
def test_aborted_records_are_not_scored_and_their_committed_copies_are(
    settings: Settings, producer: Producer, detect_all: Detect, spark: SparkSession, stack: Stack
) -> None:
    sent, later = traffic(60, customers=8, seed=81), traffic(20, customers=8, seed=82)
    begin(producer, settings.transactions_topic, sent)
    producer.abort_transaction(30)
    begin(producer, settings.transactions_topic, sent)
    producer.commit_transaction(30)
    for transaction in later[:5]:  # each in a Kafka transaction of its own
        begin(producer, settings.transactions_topic, [transaction])
        producer.commit_transaction(30)
    detect_all(settings)
    assert names(settings) == {t.transaction_id for t in [*sent, *later[:5]]}
    assert not read_topic(settings.kafka_bootstrap_servers, settings.invalid_topic)

    begin(producer, settings.transactions_topic, later[5:])  # open
    detect_all(settings)
    assert len(names(settings)) == 65
    publish_all(spark, settings)
    producer.commit_transaction(30)
    detect_all(settings)
    assert names(settings) == {t.transaction_id for t in [*sent, *later]}
    assert not read_topic(settings.kafka_bootstrap_servers, settings.invalid_topic)
    publish_all(spark, settings)
    database = Database(stack.influxdb, settings.influxdb_bucket.split("/")[0])
    # The topic ends with the mark of a commit, which is no transaction.
    assert [(p["lag"], p["input"]) for p in database.query("SELECT lag, input FROM throughput")] == [(0, 65), (0, 15)]


def publish_all(spark: SparkSession, settings: Settings) -> None:
    query = publish.start(spark, settings.model_copy(update={"publish_interval_seconds": 0.2}), Gate())
    try:
        query.processAllAvailable()
    finally:
        query.stop()


def test_what_is_read_uncommitted_is_scored_although_it_was_aborted(
    settings: Settings, producer: Producer, detect_all: Detect
) -> None:
    sent = traffic(20, customers=4, seed=83)
    begin(producer, settings.transactions_topic, sent)
    producer.abort_transaction(30)
    detect_all(settings.model_copy(update={"kafka_isolation_level": "read_uncommitted"}))
    assert len(names(settings)) == 20


def test_what_waits_is_counted_in_records_up_to_the_last_stable_offset(settings: Settings, producer: Producer) -> None:
    topic = TransactionsTopic(settings)
    by_partition: dict[int, int] = dict.fromkeys(range(4), 0)
    for number in range(12):  # two records, and the mark of a commit or of an abort
        producer.begin_transaction()
        for _ in range(2):
            producer.produce(settings.transactions_topic, b"x", partition=number % 4)
        if number % 3 == 0:
            producer.flush(30)
            producer.abort_transaction(30)
        else:
            producer.commit_transaction(30)
            by_partition[number % 4] += 2
    arrived = topic.at(2**62)
    assert arrived.then == arrived.now == dict.fromkeys(range(4), 9)
    spans = {partition: (0, end) for partition, end in arrived.now.items()}
    assert topic.records(spans) == by_partition
    assert topic.records({0: (8, 9)}) == {0: 0}
    name, (beginnings, found) = settings.transactions_topic, ends(settings, [settings.transactions_topic])
    assert waiting(settings, {}, beginnings, found) == (sum(by_partition.values()), True)
    marks_alone = {name: {str(partition): 8 for partition in range(4)}}
    assert (waiting(settings, marks_alone, beginnings, found), lag(marks_alone, beginnings, found)) == ((0, True), 4)
    many = {name: {"0": 9_000}}
    assert waiting(settings, {}, beginnings, many) == (9_000, False)
    producer.begin_transaction()
    producer.produce(settings.transactions_topic, b"x", partition=2)
    producer.flush(30)
    assert topic.at(2**62).now == arrived.now
    uncommitted = settings.model_copy(update={"kafka_isolation_level": "read_uncommitted"})
    assert TransactionsTopic(uncommitted).at(2**62).now == arrived.now | {2: 10}
    producer.abort_transaction(30)


def test_scores_and_transactions_that_were_written_in_kafka_transactions_are_read_to_their_end(
    settings: Settings, producer: Producer
) -> None:
    written = [
        {"transaction_id": f"T{number}", "anomaly_score": 0.5, "is_anomaly": False, "version": 1} for number in range(9)
    ]
    for number, score in enumerate(written):
        producer.begin_transaction()
        producer.produce(settings.scores_topic, msgspec.json.encode(score), partition=number % 3)
        producer.produce(settings.scores_topic, b"\xff", partition=number % 3)
        producer.produce(settings.scores_topic, b"[" * 100_000, partition=number % 3, headers=[("é", b"\xff")])
        producer.flush(30)
        producer.abort_transaction(30) if number == 4 else producer.commit_transaction(30)
    found = read_scores(KafkaConfig.from_settings(settings), settings.scores_topic)
    assert found.keys() == {hash_id(f"T{number}") for number in range(9) if number != 4}

    sent = traffic(30, customers=4, seed=84)
    begin(producer, settings.transactions_topic, sent)
    producer.commit_transaction(30)
    begin(producer, settings.transactions_topic, traffic(30, customers=4, seed=85))
    producer.abort_transaction(30)
    topics = Topics(settings.transactions_topic, settings.labels_topic, settings.truth_topic)
    newest = newest_event_time(Kafka(KafkaConfig.from_settings(settings), topics))
    assert newest == max(transaction.event_time for transaction in sent)
