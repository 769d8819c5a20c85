"""Real servers for the tests, started once a session, and topics and a database of its own for each test."""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from kafka import KafkaAdminClient

from messaging.topics import create_topics
from settings import Settings
from stack.local import Stack

# No JVM of a test lives long enough to earn back what its second compiler costs: a third of the CPU.
os.environ.setdefault("SPARK_SUBMIT_OPTS", "-XX:TieredStopAtLevel=1")
os.environ.setdefault("KAFKA_OPTS", "-XX:TieredStopAtLevel=1")

# Jobs of several processes of tests run side by side, and would warn that the port of their metrics is taken.
os.environ.setdefault("SCORELINE_METRICS_PORT", "0")

# How long an example takes is for the benchmarks to say: on a busy machine any takes long now and then.
hypothesis.settings.register_profile("scoreline", deadline=None)
hypothesis.settings.load_profile("scoreline")


@pytest.hookimpl(trylast=True)  # of those that are left
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take long come first, so that no process is still at work on one of them when the others have ended."""
    seconds: dict[Path, float] = {}
    for item in items:
        seconds[item.path] = seconds.get(item.path, 0.0) + expected_seconds(item)
    items.sort(key=lambda item: -seconds[item.path])


def expected_seconds(item: pytest.Item) -> float:
    """About how long a test takes, by its marks and by what it starts."""
    fixtures: set[str] = set(getattr(item, "fixturenames", ()))
    if any(item.get_closest_marker(name) for name in ("slow", "long", "alone")):
        limit = item.get_closest_marker("timeout")
        return 60.0 if limit is None else limit.args[0] / 10
    return 15.0 if "spark" in fixtures else 5.0 if "stack" in fixtures else 0.2


TOPICS = (
    "transactions",
    "scores",
    "alerts",
    "early_alerts",
    "invalid",
    "thresholds",
    "profiles",
    "labels",
    "truth",
    "events",
)


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Kafka and InfluxDB. A test that stops or kills a server starts it again before it ends."""
    with Stack(tmp_path_factory.mktemp("stack")) as running:
        if running.without_influxdb is not None:
            raise running.without_influxdb
        yield running


@pytest.fixture
def topics(stack: Stack, tmp_path: Path) -> Iterator[Settings]:
    """Settings of one test alone: empty topics of 4 partitions, an empty database, a new checkpoint, an empty registry."""
    own = f"t{uuid.uuid4().hex[:12]}"
    settings = Settings(
        kafka_bootstrap_servers=stack.kafka.bootstrap_servers,
        influxdb_url=stack.influxdb.url,
        influxdb_token="",
        influxdb_org="scoreline",
        influxdb_bucket=stack.influxdb.create_database(own),
        mlflow_tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}",
        checkpoint=str(tmp_path / "checkpoint"),
        log_dir=tmp_path / "logs",
        page_data=tmp_path / "page",
        watch_folder=tmp_path / "watch",
        metrics_port=0,
        **{f"{topic}_topic": f"{own}.{topic}" for topic in TOPICS},
    )
    create_topics(settings)
    yield settings
    stack.influxdb.drop_database(own)
    with KafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap_servers) as admin:
        admin.delete_topics([f"{own}.{topic}" for topic in TOPICS])
