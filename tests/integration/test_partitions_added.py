"""Partitions that are added to a topic, while the job runs and while it is stopped: nothing of theirs is skipped."""

import time
from collections.abc import Callable

import pytest
from confluent_kafka import Producer
from kafka import KafkaAdminClient
from pyspark.sql import SparkSession

from jobs import detect, publish
from jobs.runtime.supervisor import Gate
from settings import Settings
from stack.local import Stack
from tests.integration.traffic import messages, scores, traffic
from tests.sinks.database import Database

Detect = Callable[..., None]

MOMENT = 1_790_000_000_000


def add_partitions(settings: Settings, count: int) -> None:
    """Let the transactions topic have so many partitions, and wait until a producer could use them."""
    with KafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap_servers) as admin:
        admin.create_partitions({settings.transactions_topic: count})
        deadline = time.monotonic() + 120
        while True:
            [topic] = admin.describe_topics([settings.transactions_topic])
            if len(topic["partitions"]) == count and all(p["leader_id"] >= 0 for p in topic["partitions"]):
                return
            assert time.monotonic() < deadline
            time.sleep(0.1)


def put(settings: Settings, seed: int, partitions: range, each: int = 30, whose: int | None = None) -> None:
    """Transactions on each of some partitions, all of one millisecond, each partition with customers of its own.

    whose: of the customers of this partition instead.
    """
    producer = Producer({"bootstrap.servers": settings.kafka_bootstrap_servers})
    for partition in partitions:
        name = b'"customer_id":"P%d' % (partition if whose is None else whose)
        for key, value in messages(traffic(each, customers=5, seed=100 * seed + partition)):
            value = value.replace(b'"customer_id":"C', name)  # type: ignore[union-attr]
            producer.produce(settings.transactions_topic, value, key, partition=partition, timestamp=MOMENT)
    assert producer.flush(30) == 0


@pytest.mark.timeout(600)
def test_nothing_of_added_partitions_is_skipped_and_each_score_is_a_point(
    spark: SparkSession, settings: Settings, stack: Stack
) -> None:
    settings = settings.model_copy(
        update={"starting_offsets": "latest", "publish_interval_seconds": 0.2, "max_future_hours": 1e9}
    )
    put(settings, 1, range(4))  # before the first start, which begins with the latest
    spark.conf.set("spark.sql.shuffle.partitions", str(settings.state_partitions))

    def run(*steps: Callable[[], None]) -> None:
        gate = Gate()
        queries = [detect.start(spark, settings, gate), publish.start(spark, settings, gate)]
        try:
            for step in (lambda: None, *steps):
                step()
                for query in queries:
                    query.processAllAvailable()
        finally:
            for query in queries:
                query.stop()
            gate.close()

    run()
    assert not scores(settings)
    run(
        lambda: put(settings, 2, range(4)),
        lambda: add_partitions(settings, 5),
        lambda: put(settings, 3, range(5)),
    )
    assert len(scores(settings)) == 120 + 150
    add_partitions(settings, 7)
    put(settings, 4, range(7))
    run(lambda: put(settings, 5, range(7)), lambda: put(settings, 6, range(6, 7), whose=0))
    put(settings, 7, range(2))
    run()
    found = scores(settings)
    assert len(found) == 120 + 150 + 2 * 210 + 30 + 60
    assert {(partition, offset) for partition, offset in found if partition >= 4} == {
        (partition, offset) for partition, total in ((4, 90), (5, 60), (6, 90)) for offset in range(total)
    }
    # Customers of partition 0 who came by partition 6 too, from then on: the last 30 records of either.
    undefined = {place for place, score in found.items() if score["order_undefined"]}
    ends = {partition: max(offset for p, offset in found if p == partition) + 1 for partition in (0, 6)}
    assert undefined == {(partition, end - k) for partition, end in ends.items() for k in range(1, 31)}
    database = Database(stack.influxdb, settings.influxdb_bucket.split("/")[0])
    assert database.query("SELECT count(anomaly_score) FROM transaction_score")[0]["count"] == len(found)
