"""The sender, against a real Kafka."""

import itertools
import json
import operator
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta

import msgspec
import numpy as np
import pytest
from kafka import KafkaAdminClient
from kafka.partitioner.default import murmur2
from msgspec.structs import replace

from generator.history import Origin
from generator.labels import Reporting
from generator.live import Kafka, live_sender
from generator.population import make_population
from generator.producer import DeliveryFailed, KafkaUnreachable
from generator.records import Records, records
from generator.report import Report
from generator.resume import newest_event_time, unsent_labels
from generator.runs import Run
from generator.send import SendOptions, Topics
from generator.stream import Batch, transactions
from messaging.config import KafkaConfig
from ml.schema import Label, Transaction
from settings import Settings
from stack.local import Stack
from tests.generator.conftest import MONDAY
from tests.support.kafka import read_topic

ORIGIN = Origin(seed=7, customers=3_000, live_start=MONDAY + timedelta(hours=9), run=Run(fraud_share=0.05))
PARTITIONS = 4


@pytest.fixture
def kafka(topics: Settings) -> Kafka:
    names = Topics(topics.transactions_topic, topics.labels_topic, topics.truth_topic)
    return Kafka(KafkaConfig.from_settings(topics), names)


def test_exactly_so_many_transactions_arrive_as_the_stream_has_them(kafka: Kafka) -> None:
    report = live_sender(ORIGIN, kafka, SendOptions(rate=0, count=3_000)).run()
    sent = read_topic(kafka.config.servers, kafka.topics.transactions)
    assert report.sent == len(sent) == 3_000
    made = itertools.chain.from_iterable(records(batch).values for batch in first_hours(8))
    assert sorted(record.value for record in sent) == sorted(itertools.islice(made, 3_000))
    assert report.next_start is not None
    assert report.next_start - timedelta(milliseconds=1) == max(event_time(record.value) for record in sent)


def first_hours(n: int) -> Iterator[Batch]:
    population = make_population(ORIGIN.seed, ORIGIN.customers)
    return itertools.islice(transactions(population, ORIGIN.live_start, ORIGIN.run), n)


def event_time(value: bytes) -> datetime:
    return msgspec.json.decode(value, type=Transaction).event_time


def test_a_customers_transactions_share_a_partition_and_keep_their_order(kafka: Kafka) -> None:
    live_sender(ORIGIN, kafka, SendOptions(rate=0, count=3_000)).run()
    latest: dict[bytes, datetime] = {}
    for record in read_topic(kafka.config.servers, kafka.topics.transactions):
        transaction = msgspec.json.decode(record.value, type=Transaction)
        assert record.key == transaction.customer_id.encode()
        assert record.partition == (murmur2(record.key) & 0x7FFFFFFF) % PARTITIONS
        assert latest.get(record.key, transaction.event_time) <= transaction.event_time
        latest[record.key] = transaction.event_time
    assert len(latest) > 1_000


def test_the_truth_is_sent_at_once_and_late_labels_only_when_they_are_due(kafka: Kafka) -> None:
    report = live_sender(ORIGIN, kafka, SendOptions(rate=0, count=4_000)).run()
    truth = read_labels(kafka, kafka.topics.truth)
    sent = {
        (transaction.transaction_id, transaction.customer_id): transaction.event_time
        for record in read_topic(kafka.config.servers, kafka.topics.transactions)
        for transaction in [msgspec.json.decode(record.value, type=Transaction)]
    }
    assert 100 < len(truth) < 400
    assert {(label.transaction_id, label.customer_id): label.label_time for label in truth}.items() <= sent.items()
    assert len(read_labels(kafka, kafka.topics.labels)) == report.labels_sent <= 0.2 * len(truth)
    assert 0.8 * len(truth) < report.labels_sent + report.labels_under_way < 1.05 * len(truth)
    campaigns: dict[str | None, set[str | None]] = defaultdict(set)
    for label in truth:
        campaigns[label.scenario].add(label.campaign)
    assert report.campaigns == {scenario: len(ones) for scenario, ones in campaigns.items()}
    assert sum(report.fraud.values()) == len(truth)


def test_labels_that_are_due_are_sent_and_the_others_when_asked_for(kafka: Kafka) -> None:
    earlier = Label("t0", "c0", True, ORIGIN.live_start + timedelta(minutes=1), "chargeback")
    quick = replace(ORIGIN, reporting=Reporting(median_days=0.02))
    report = live_sender(quick, kafka, SendOptions(rate=0, count=4_000, flush_labels=True), labels=[earlier]).run()
    truth = {label.transaction_id: label for label in read_labels(kafka, kafka.topics.truth)}
    labels = read_labels(kafka, kafka.topics.labels)
    assert report.labels_under_way == 0
    assert 0.8 * len(truth) < len(labels) == report.labels_sent < 1.05 * len(truth)
    assert len({label.transaction_id for label in labels}) == len(labels)
    assert earlier in labels
    of_truth = [label for label in labels if label.transaction_id in truth]
    assert all(label.label_time > truth[label.transaction_id].label_time for label in of_truth)


def test_traffic_goes_on_where_the_topic_ends(kafka: Kafka) -> None:
    assert newest_event_time(kafka) is None
    report = live_sender(ORIGIN, kafka, SendOptions(rate=0, count=2_000)).run()
    assert newest_event_time(kafka) == report.last_event_time


def test_labels_that_were_not_due_when_a_sender_stopped_come_after_the_next_start(kafka: Kafka) -> None:
    quick = replace(ORIGIN, reporting=Reporting(median_days=0.02))
    begin, owed = ORIGIN.live_start, list[Label]()
    for flush in (False, False, True):
        report = live_sender(quick, kafka, SendOptions(rate=0, count=1_500, flush_labels=flush), begin, owed).run()
        assert flush or report.labels_under_way > 10
        assert report.next_start is not None
        begin = report.next_start
        owed = [] if flush else unsent_labels(quick, kafka, begin)
        assert len(owed) == report.labels_under_way
    stream = transactions(make_population(quick.seed, quick.customers), quick.live_start, quick.run, quick.reporting)
    expected = itertools.chain.from_iterable(
        [label for row in sorted(batch.labels) if row + before < 4_500 for label in batch.labels[row]]
        for before, batch in numbered_from_zero(records(batch) for batch in itertools.islice(stream, 8))
    )
    by_transaction = operator.attrgetter("transaction_id")
    come = read_labels(kafka, kafka.topics.labels)
    assert sorted(come, key=by_transaction) == sorted(expected, key=by_transaction)


def numbered_from_zero(hours: Iterator[Records]) -> Iterator[tuple[int, Records]]:
    """Each hour with the number of its first transaction."""
    before = 0
    for hour in hours:
        yield before, hour
        before += len(hour.values)


def read_labels(kafka: Kafka, topic: str) -> list[Label]:
    found = read_topic(kafka.config.servers, topic)
    labels = [msgspec.json.decode(record.value, type=Label) for record in found]
    assert [record.key.decode() for record in found] == [label.customer_id for label in labels]
    return labels


def test_kafka_timestamps_are_the_times_at_which_records_should_have_left(kafka: Kafka) -> None:
    before = time.time() * 1000
    report = live_sender(ORIGIN, kafka, SendOptions(rate=200, seconds=2)).run()
    times = np.sort([record.timestamp for record in read_topic(kafka.config.servers, kafka.topics.transactions)])
    assert report.sent == len(times) == 400
    assert report.seconds > 1.9
    assert before <= times[0]
    assert set(np.diff(times)) == {5}  # 200 a second, on the dot, whatever the machine was busy with


def test_a_sender_that_is_stopped_delivers_what_it_has_sent(kafka: Kafka) -> None:
    seen: list[Report] = []

    def stop_after_five(report: Report) -> None:
        seen.append(report)
        if len(seen) == 5:
            sender.stop()

    sender = live_sender(ORIGIN, kafka, SendOptions(rate=500), progress=stop_after_five)
    sender.progress_seconds = 0.2
    report = sender.run()
    assert report.sent > 200  # and it has ended
    assert len(read_topic(kafka.config.servers, kafka.topics.transactions)) == report.sent
    assert len(seen) >= 3
    assert [one.sent for one in seen] == sorted(one.sent for one in seen)


def test_at_full_speed_the_clock_ends_it(kafka: Kafka) -> None:
    report = live_sender(ORIGIN, kafka, SendOptions(rate=0, seconds=1)).run()
    assert report.sent > 5_000  # far more on a machine that is not busy
    assert 1 <= report.seconds < 10


def test_a_broker_that_restarts_gets_every_record_once(stack: Stack, kafka: Kafka) -> None:
    sender = live_sender(ORIGIN, kafka, SendOptions(rate=300, seconds=10))
    restart = threading.Timer(3, lambda: (stack.kafka.kill(), stack.kafka.start()))
    restart.start()
    try:
        report = sender.run()
    finally:
        restart.join()
    ids = [
        json.loads(record.value)["transaction_id"]
        for record in read_topic(kafka.config.servers, kafka.topics.transactions)
    ]
    assert len(ids) == len(set(ids)) == report.sent == 3_000


def test_records_that_kafka_refuses_are_an_error(kafka: Kafka) -> None:
    with KafkaAdminClient(bootstrap_servers=kafka.config.servers) as admin:
        narrow = f"{kafka.topics.transactions}.narrow"
        admin.create_topics(
            {narrow: {"num_partitions": 1, "replication_factor": 1, "configs": {"max.message.bytes": "100"}}},
            wait_for_metadata=True,
        )
    to_narrow = Kafka(kafka.config, Topics(narrow, kafka.topics.labels, kafka.topics.truth))
    with pytest.raises(DeliveryFailed, match=rf"\d+ records did not reach Kafka: topic {narrow}: .*too large"):
        live_sender(ORIGIN, to_narrow, SendOptions(rate=0, count=500)).run()


def test_a_missing_topic_is_named_before_anything_is_sent(kafka: Kafka) -> None:
    wrong = Kafka(kafka.config, Topics(kafka.topics.transactions, kafka.topics.labels, "nobody-made-this"))
    with pytest.raises(KafkaUnreachable, match="has no topic nobody-made-this; create it first"):
        live_sender(ORIGIN, wrong, SendOptions(rate=0, count=1))
    assert read_topic(kafka.config.servers, kafka.topics.transactions) == []


@pytest.mark.parametrize(
    ("plan", "most"),
    [
        (SendOptions(500), float("inf")),
        (SendOptions(500, 60), 30_000),
        (SendOptions(500, 60, 10), 10),
        (SendOptions(0, 60), float("inf")),
        (SendOptions(0, 60, 10), 10),
    ],
)
def test_a_plan_ends_with_whatever_comes_first(plan: SendOptions, most: float) -> None:
    assert plan.most == most
