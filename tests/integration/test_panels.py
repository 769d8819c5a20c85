"""Panels never end alerts: whatever happens to publish, detection goes on and the application ends well."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, TopicPartition

from settings import Settings
from stack.local import Stack
from tests.integration.application import Application
from tests.integration.traffic import messages, send, traffic
from tests.sinks.database import Database
from tests.support.kafka import count_records

NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def applications() -> Iterator[list[Application]]:
    """Those that still run at the end of the test are killed."""
    running: list[Application] = []
    yield running
    for application in running:
        application.__exit__(None, None, None)


def points(settings: Settings, stack: Stack) -> int:
    """How many scores InfluxDB has as points."""
    database = Database(stack.influxdb, settings.influxdb_bucket.split("/")[0])
    rows = database.query("SELECT count(anomaly_score) FROM transaction_score")
    return int(rows[0]["count"]) if rows else 0


def damage_offsets(checkpoint: Path) -> None:
    """What a disk that was full leaves of the newest planned micro-batch."""
    newest = max((checkpoint / "offsets").glob("[0-9]*"), key=lambda path: int(path.name))
    newest.write_bytes(b"v1\n{")
    (checkpoint / "offsets" / f".{newest.name}.crc").unlink(missing_ok=True)


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(1200)
def test_neither_lost_scores_nor_a_damaged_checkpoint_of_publish_ends_detection(
    settings: Settings, stack: Stack, applications: list[Application]
) -> None:
    settings = settings.model_copy(update={"publish_interval_seconds": 0.5})
    away = settings.model_copy(update={"influxdb_url": NOWHERE})

    def run(settings: Settings) -> Application:
        applications.append(Application(settings))
        return applications[-1]

    def scored() -> int:
        return count_records(settings.kafka_bootstrap_servers, settings.scores_topic)

    send(settings, messages(traffic(500, customers=50, seed=51)))
    first = run(settings)
    first.wait_until(lambda: points(settings, stack) == 500, "the first points")
    assert first.stop() == 0

    send(settings, messages(traffic(500, customers=50, seed=52)))
    second = run(away)
    second.wait_until(lambda: scored() == 1_000, "scores while InfluxDB is away")
    assert second.stop() == 0
    with KafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap_servers) as admin:
        admin.delete_records({TopicPartition(settings.scores_topic, number): -1 for number in range(4)})

    send(settings, messages(traffic(500, customers=50, seed=53)))
    third = run(settings)
    third.wait_until(lambda: points(settings, stack) == 1_000, "the points of what is left")
    assert third.stop() == 0
    assert (
        f"lost 500 records of {settings.scores_topic}, which Kafka deleted before they were read (by part" in third.log
    )

    damage_offsets(Path(settings.checkpoint) / "publish")
    already = len(third.log)
    fourth = run(settings)
    fourth.wait_until(
        lambda: bool(re.search("(WARNING|ERROR) publish", fourth.log[already:])), "publish's failure in the log"
    )
    send(settings, messages(traffic(500, customers=50, seed=54)))
    fourth.wait_until(lambda: scored() == 1_000, "scores although publish fails")
    assert fourth.stop() == 0
