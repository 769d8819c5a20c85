import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import msgspec
import numpy as np
import pytest
from confluent_kafka import Producer
from kafka import KafkaAdminClient
from pyspark.errors import StreamingQueryException
from pyspark.sql import SparkSession
from pyspark.sql.streaming import StreamingQuery

from jobs import publish
from jobs.runtime.supervisor import Gate
from ml.schema import Reason, Score
from settings import Settings
from sinks.influxdb import InfluxDBSink
from sinks.sink import SinkUnavailable
from stack.local import Stack
from tests.detection.scores import FORM
from tests.sinks.database import Database
from tests.support.kafka import read_topic


@pytest.fixture
def settings(topics: Settings) -> Settings:
    return topics.model_copy(update={"publish_interval_seconds": 0.2})


@pytest.fixture
def database(stack: Stack, settings: Settings) -> Database:
    return Database(stack.influxdb, settings.influxdb_bucket.split("/")[0])


class Run(Protocol):
    def __call__(self, settings: Settings, once_started: Callable[[], None] = ...) -> None: ...


@pytest.fixture
def run(spark: SparkSession) -> Iterator[Run]:
    """Runs the query until it has published all that the topics hold."""
    started: list[StreamingQuery] = []

    def publish_all(settings: Settings, once_started: Callable[[], None] = lambda: None) -> None:
        started.append(publish.start(spark, settings, Gate()))
        once_started()
        started[-1].processAllAvailable()
        started[-1].stop()

    yield publish_all
    for query in started:
        query.stop()


def score(partition: int, offset: int, kafka_time: int, **changes: Any) -> Score:
    is_anomaly = offset % 10 == 0
    fields: dict[str, Any] = {
        "transaction_id": f"t{partition}-{offset}",
        "event_time": datetime(2026, 1, 1, tzinfo=UTC),
        "customer_id": f"c{offset % 97}",
        "amount": 12.5,
        "merchant_category": ("groceries", "fuel, oil", None)[offset % 3],
        "country": "DE",
        "channel": ("chip", "online")[offset % 2],
        "partition": partition,
        "offset": offset,
        "kafka_time": kafka_time,
        "late": offset % 7 == 0,
        "key_mismatch": False,
        "micro_batch": 3,
        "features": [1.5],
        "anomaly_score": 0.7 if is_anomaly else 0.4,
        "threshold": 0.65,
        "is_anomaly": is_anomaly,
        "model_name": "scoreline",
        "model_version": 2,
        "scored_at": kafka_time,
        "reasons": [Reason("amount_z", 12.3, -1.2, 3.4)] if is_anomaly else [],
    }
    return Score(**FORM | fields | changes)


Record = dict[str, Any]


def of_score(score: Score) -> Record:
    return {"partition": score.partition, "value": msgspec.json.encode(score)}


def dead_letter(partition: int, offset: int, value: bytes | None = b"?") -> Record:
    headers = {"reason": "not JSON", "topic": "transactions", "kafka_time": "1"}
    headers |= {"partition": str(partition), "offset": str(offset)}
    return {"partition": partition, "value": value, "headers": list(headers.items())}


def send(settings: Settings, topic: str, records: Iterator[Record] | list[Record]) -> None:
    producer = Producer(
        {"bootstrap.servers": settings.kafka_bootstrap_servers, "message.max.bytes": 8 << 20, "linger.ms": 50}
    )
    for record in records:
        while True:
            try:
                producer.produce(topic, **record)
                break
            except BufferError:
                producer.poll(0.1)
    assert producer.flush(60) == 0


def now() -> int:
    return time.time_ns() // 1_000_000


@pytest.mark.long
def test_200_000_scores_of_one_millisecond_published_twice_are_200_000_points(
    settings: Settings, database: Database, run: Run, tmp_path: Path
) -> None:
    moment = now()
    send(settings, settings.scores_topic, (of_score(score(n % 4, n // 4, moment)) for n in range(200_000)))
    run(settings)
    run(settings.model_copy(update={"checkpoint": str(tmp_path / "another checkpoint")}))
    assert database.query("SELECT count(amount) FROM transaction_score")[0]["count"] == 200_000
    assert database.query("SELECT count(amount) FROM alert")[0]["count"] == 20_000


def test_a_score_is_a_point_at_its_transaction_s_time_with_all_its_fields(
    settings: Settings, database: Database, run: Run
) -> None:
    send(
        settings,
        settings.scores_topic,
        [of_score(score(3, 10, 1_700_000_000_123, merchant_category="", merchant_id="m1"))],
    )
    run(settings)
    time_ns = 1_700_000_000_123_000_000 + 10
    assert database.query("SELECT * FROM transaction_score") == [
        {
            "time": time_ns,
            "merchant_category": "unknown",
            "channel": "chip",
            "partition": "3",
            "lap": "0",
            "anomaly_score": 0.7,
            "threshold": 0.65,
            "amount": 12.5,
            "is_anomaly": True,
            "transaction_id": "t3-10",
            "customer_id": "c10",
            "merchant_id": "m1",
            "country": "DE",
        }
    ]
    assert database.query("SELECT * FROM alert") == [
        {
            "time": time_ns,
            "merchant_category": "unknown",
            "channel": "chip",
            "country": "DE",
            "partition": "3",
            "lap": "0",
            "transaction_id": "t3-10",
            "customer_id": "c10",
            "amount": 12.5,
            "anomaly_score": 0.7,
            "threshold": 0.65,
            "reasons": "12.3 deviations above the customer's mean, usually at most 3.4",
            "model_version": 2,
        }
    ]


def test_throughput_says_what_the_topics_say(settings: Settings, database: Database, run: Run) -> None:
    begin = now()
    waiting, size = 30, 2_000
    transactions = [
        {"partition": n % 4, "value": b"x", "timestamp": begin - 10_000 + n} for n in range(4 * size + waiting)
    ]
    later = [{"partition": n % 4, "value": b"x", "timestamp": begin + 600_000} for n in range(50)]
    send(settings, settings.transactions_topic, transactions + later)
    scored = [score(n % 4, n // 4, begin - 10_000 + n) for n in range(4 * size - 40)]
    send(settings, settings.scores_topic, [of_score(one) for one in scored])
    send(settings, settings.invalid_topic, [dead_letter(n % 4, n // 4) for n in range(4 * size - 40, 4 * size)])
    run(settings)

    outputs = read_topic(settings.kafka_bootstrap_servers, settings.scores_topic)
    dead = read_topic(settings.kafka_bootstrap_servers, settings.invalid_topic)
    latency = [record.timestamp - msgspec.json.decode(record.value, type=Score).kafka_time for record in outputs]
    times = [record.timestamp for record in outputs + dead]
    [point] = database.query("SELECT * FROM throughput")
    assert point == {
        "time": max(times) * 1_000_000,
        "input": 4 * size + waiting,
        "scored": 4 * size - 40,
        "invalid": 40,
        "late": sum(one.late for one in scored),
        "anomalies": sum(one.is_anomaly for one in scored),
        "rows_per_second": pytest.approx(4 * size * 1000 / (max(times) - min(times))),
        "latency_p50_ms": np.percentile(latency, 50, method="inverted_cdf"),
        "latency_p95_ms": np.percentile(latency, 95, method="inverted_cdf"),
        "latency_p99_ms": np.percentile(latency, 99, method="inverted_cdf"),
        "lag": waiting,
        "model_version": 2,
    }


def test_dead_letters_are_counted_whatever_their_value_and_headers(
    settings: Settings, database: Database, run: Run
) -> None:
    odd: list[Record] = [
        dead_letter(0, 0, b"x" * (5 << 20)),
        dead_letter(1, 0, None),
        {"partition": 2, "value": b"?", "headers": []},
        {"partition": 3, "value": b"?", "headers": [("partition", b"\xff"), ("offset", None), ("offset", b"1")]},
    ]
    send(settings, settings.invalid_topic, odd)
    run(settings)
    [point] = database.query("SELECT invalid, scored, latency_p50_ms FROM throughput")
    assert (point["invalid"], point["scored"], point["latency_p50_ms"]) == (4, 0, None)


def test_a_record_that_is_no_score_is_reported_and_its_neighbours_are_published(
    settings: Settings, database: Database, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    records = [of_score(score(1, offset, now())) for offset in range(100)]
    records[50:50] = [{"partition": 1, "value": b'{"transaction_id": 5}'}, {"partition": 1, "value": None}]
    send(settings, settings.scores_topic, records)
    run(settings)
    assert database.query("SELECT count(amount) FROM transaction_score")[0]["count"] == 100
    assert (
        f"left out 2 of {settings.scores_topic}, being no scores, the first at partition 1, offset 50: " in caplog.text
    )


def test_panels_have_every_score_when_all_are_points_and_when_few_are(
    settings: Settings, database: Database, run: Run
) -> None:
    """The first micro-batch is written whole, and the one after it, in another start, as a sample."""
    settings = settings.model_copy(update={"publish_most": 100.0, "publish_share": 0.05})
    sent: list[Score] = []
    for begin in (0, 1_000):
        more = [score(n % 4, n // 4, now(), currency=("EUR", "USD")[n % 2]) for n in range(begin, begin + 1_000)]
        send(settings, settings.scores_topic, [of_score(one) for one in more])
        run(settings)
        sent += more
    alerts = sum(one.is_anomaly for one in sent)
    points = database.query("SELECT count(amount) FROM transaction_score")[0]["count"]
    assert 1_000 + alerts / 2 < points < 1_300
    assert database.query("SELECT count(amount) FROM alert")[0]["count"] == alerts
    [sums] = database.query("SELECT sum(scored) AS scored, sum(alerts) AS alerts FROM score_sums")
    assert (sums["scored"], sums["alerts"]) == (2_000, alerts)
    [bins] = database.query("SELECT sum(bin_12) AS normal, sum(bin_22) AS alerted FROM score_sums")
    assert (bins["normal"], bins["alerted"]) == (2_000 - alerts, alerts)
    amounts = database.query(
        "SELECT sum(amount) AS a, sum(amount_alerted) AS b, sum(scored) AS c FROM amount_sums GROUP BY currency"
    )
    assert {row["currency"]: (row["a"], row["b"], row["c"]) for row in amounts} == {
        currency: (
            sum(one.amount for one in sent if one.currency == currency),
            sum(one.amount * one.is_anomaly for one in sent if one.currency == currency),
            1_000,
        )
        for currency in ("EUR", "USD")
    }
    rows = database.query("SELECT sum(scored) AS scored FROM score_sums GROUP BY merchant_category, channel")
    found = {(row["merchant_category"], row["channel"]): row["scored"] for row in rows}
    assert found == Counter((one.merchant_category or "unknown", one.channel) for one in sent)


def test_a_second_start_goes_on_where_the_first_stopped(settings: Settings, database: Database, run: Run) -> None:
    for part in range(2):
        send(
            settings, settings.scores_topic, [of_score(score(n % 4, 250 * part + n // 4, now())) for n in range(1_000)]
        )
        run(settings)
    assert database.query("SELECT count(amount) FROM transaction_score")[0]["count"] == 2_000
    assert [point["scored"] for point in database.query("SELECT scored FROM throughput")] == [1_000, 1_000]


def test_a_stopped_influxdb_fails_the_query_and_the_next_start_fills_in_what_is_missing(
    settings: Settings, database: Database, run: Run, stack: Stack
) -> None:
    def stop_and_send() -> None:
        stack.influxdb.stop()
        send(settings, settings.scores_topic, [of_score(score(n % 4, n // 4, now())) for n in range(1_000)])

    try:
        with pytest.raises(StreamingQueryException, match=r"SinkUnavailable: InfluxDB at .* does not answer"):
            run(settings, stop_and_send)
        with pytest.raises(SinkUnavailable, match="does not answer: start it"):  # the next start does not get that far
            run(settings)
    finally:
        stack.influxdb.start()
    run(settings.model_copy(update={"influxdb_url": stack.influxdb.url}))
    assert database.query("SELECT count(amount) FROM transaction_score")[0]["count"] == 1_000
    assert database.query("SELECT sum(scored) FROM throughput")[0]["sum"] == 1_000


def test_without_an_answer_about_the_transactions_the_rest_is_published_all_the_same(
    settings: Settings, database: Database, run: Run
) -> None:
    gone = settings.model_copy(update={"transactions_topic": f"{settings.transactions_topic}.gone"})
    with KafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap_servers) as admin:
        admin.create_topics(
            {gone.transactions_topic: {"num_partitions": 4, "replication_factor": 1}}, wait_for_metadata=True
        )

        def lose_transactions() -> None:
            admin.delete_topics([gone.transactions_topic])
            send(settings, settings.scores_topic, [of_score(score(0, 0, now()))])

        run(gone, lose_transactions)
    [point] = database.query("SELECT * FROM throughput")
    assert point["scored"] == 1
    assert "lag" not in point
    assert "input" not in point


def test_a_bucket_that_is_not_there_fails_the_query_with_the_way_to_mend_it(settings: Settings, run: Run) -> None:
    send(settings, settings.scores_topic, [of_score(score(0, 0, now()))])
    with pytest.raises(StreamingQueryException, match=r"SinkRejected: .*create the bucket"):
        run(settings.model_copy(update={"influxdb_bucket": "nowhere/autogen"}))


def test_a_points_file_takes_the_same_points_as_influxdb(
    settings: Settings, database: Database, run: Run, tmp_path: Path
) -> None:
    send(settings, settings.scores_topic, [of_score(score(n % 4, n // 4, now())) for n in range(1_000)])
    run(settings)
    file, checkpoint = tmp_path / "points.lp", tmp_path / "another checkpoint"
    run(settings.model_copy(update={"points_file": file, "checkpoint": str(checkpoint)}))
    before = [database.query(f"SELECT * FROM {name}") for name in ("transaction_score", "alert", "throughput")]
    with InfluxDBSink(settings.influxdb_url, settings.influxdb_bucket, settings.influxdb_org) as sink:
        sink.write(file.read_bytes())
    after = [database.query(f"SELECT * FROM {name}") for name in ("transaction_score", "alert", "throughput")]
    assert after == before
    assert [len(rows) for rows in before] == [1_000, 100, 1]
