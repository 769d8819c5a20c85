"""A job is started on what an earlier release left behind: each query goes on, or says which command builds again."""

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from confluent_kafka import Producer
from kafka import KafkaAdminClient
from pyspark.sql import SparkSession

from jobs import detect, publish, thresholds
from jobs.checkpoint_settings import FrozenSettingsDiffer
from jobs.initial_state import initial_state
from jobs.replay import Replay
from jobs.runtime.errors import Fatal
from jobs.runtime.gate import Gate
from messaging.topics import create_topics
from ml.registry.model_store import ModelStore
from settings import Settings
from tests.integration.application import Application
from tests.upgrade.release import Record, Release

TOPICS = ("transactions", "scores", "alerts", "invalid", "thresholds", "labels", "truth")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Release:
    """What the tests only read."""
    return Release(tmp_path_factory.mktemp("written"))


@pytest.fixture
def release(tmp_path: Path) -> Release:
    """What a test may change."""
    return Release(tmp_path / "release")


@pytest.fixture
def left_behind(settings: Settings, release: Release, tmp_path: Path) -> Iterator[Settings]:
    """The settings of the earlier job, with topics that hold what its topics held."""
    named = {f"{topic}_topic": f"recorded.{topic}" for topic in TOPICS}
    files = {"checkpoint": str(release.checkpoint), "mlflow_tracking_uri": release.registry}
    earlier = settings.model_copy(update=named | files | {"points_file": tmp_path / "points"})
    create_topics(earlier)
    for topic in ("transactions", "scores", "invalid"):
        send(earlier, f"recorded.{topic}", release.records(topic))
    yield earlier
    with KafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap_servers) as admin:
        admin.delete_topics(list(named.values()))


def send(settings: Settings, topic: str, records: list[Record]) -> None:
    producer = Producer({"bootstrap.servers": settings.kafka_bootstrap_servers})
    for record in records:
        producer.produce(topic, record.value, record.key, record.partition, headers=record.headers)
    assert producer.flush(60) == 0


def run_all(starter: Callable[[SparkSession, Settings, Gate], object], spark: SparkSession, settings: Settings) -> None:
    """Start a query, and stop it when it has dealt with all that its topics hold."""
    gate = Gate()
    query = starter(spark, settings, gate)
    try:
        query.processAllAvailable()  # type: ignore[attr-defined]
    finally:
        query.stop()  # type: ignore[attr-defined]
        gate.close()


def test_detection_refuses_its_checkpoint_and_says_how_to_build_the_state_again(
    spark: SparkSession, settings: Settings, written: Release
) -> None:
    earlier = settings.model_copy(update={"checkpoint": str(written.checkpoint)})
    with pytest.raises(FrozenSettingsDiffer, match=r"fold version 1, .* by 2.*--starting-offsets earliest.*make train"):
        detect.start(spark, earlier, Gate())


def test_its_initial_state_is_refused_with_the_command_that_folds_again(
    spark: SparkSession, settings: Settings, written: Release
) -> None:
    with pytest.raises(Fatal, match=r"fold version 1, and this version folds by 2.*make train"):
        initial_state(spark, settings.model_copy(update={"initial_state": str(written.initial_state)}))


def test_a_replay_of_its_log_judges_again_what_its_model_judged(
    spark: SparkSession, written: Release, caplog: pytest.LogCaptureFixture
) -> None:
    replay = Replay(spark, str(written.checkpoint), ModelStore(written.registry))
    [known] = {piece.versions for piece in replay._ledger.pieces()}
    again = object()
    assert replay._decision(known, again) is again  # type: ignore[arg-type]
    assert "fold version 1" in caplog.text


def test_publish_goes_on_where_it_was(spark: SparkSession, left_behind: Settings, release: Release) -> None:
    points = left_behind.points_file
    assert points is not None
    run_all(publish.start, spark, left_behind)
    assert not points.exists() or "transaction_score" not in points.read_text(), (
        "it was published by the earlier release"
    )
    score = msgspec.json.decode(release.values("scores")[0])
    new = msgspec.json.encode(score | {"transaction_id": "new", "offset": 10**6, "fold_version": 2})
    send(left_behind, left_behind.scores_topic, [Record(0, 0, 0, b"new", new, [])])
    run_all(publish.start, spark, left_behind)
    [line] = [line for line in points.read_text().splitlines() if line.startswith("transaction_score,")]
    assert 'transaction_id="new"' in line


def test_thresholds_go_on_with_the_scores_to_come(spark: SparkSession, left_behind: Settings, release: Release) -> None:
    before = newest_commit(release.checkpoint / "thresholds")
    send(left_behind, left_behind.scores_topic, release.records("scores")[:10])
    run_all(thresholds.start, spark, left_behind)
    assert newest_commit(release.checkpoint / "thresholds") > before


def newest_commit(query: Path) -> int:
    return max(int(path.name) for path in (query / "commits").iterdir() if path.name.isdigit())


def test_the_application_ends_with_the_command_that_builds_again(
    left_behind: Settings, start: Callable[..., Application]
) -> None:
    application = start(left_behind, "--publish", "false")
    assert application.wait() == 1
    last = application.output.strip().splitlines()[-1]
    assert "fold version 1" in last
    assert "make train" in last
    assert "Traceback" not in application.output
