"""Tables of thresholds on real Kafka and Spark: how they come about, and how micro-batches are judged by them."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from confluent_kafka import Producer
from pyspark.sql import SparkSession
from pyspark.sql.streaming import StreamingQuery

from detection.model_versions import ModelVersions
from detection.threshold_store import ThresholdStore
from jobs import detect, thresholds
from jobs.runtime.storage import DurableFolder
from jobs.runtime.supervisor import Gate
from messaging.config import KafkaConfig
from messaging.topics import create_topics
from ml.features import HOUR
from ml.model import Model
from ml.registry.model_store import ModelStore
from ml.segments import segment_name
from ml.thresholds.counts import BLOCK
from ml.thresholds.table import Table
from settings import Settings
from tests.integration.lake import check_explained, lake_of
from tests.integration.traffic import CATEGORIES, CHANNELS, judgement, messages, scores, send, traffic
from tests.support.kafka import read_topic
from versions.thresholds import ThresholdPoller, newest_table, publish_table

Detect = Callable[..., None]

NOON = 490_000 * HOUR


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Tables are followed, and only those that a test publishes."""
    return settings.model_copy(update={"adaptive_thresholds": True, "make_thresholds": False})


@pytest.fixture
def ready(spark: SparkSession, settings: Settings, registry: ModelStore) -> Settings:
    """Settings with the models kept beside the checkpoint, as detect leaves them, and a short pause."""
    kept = ModelVersions(registry, DurableFolder(spark, f"{settings.checkpoint}/models"))
    kept.use(kept.of_entry(registry.champion_entry()))
    return settings.model_copy(update={"thresholds_interval_seconds": 0.1})


def scored(n: int, seed: int, hours: float, model: Model, higher: float = 0.0) -> list[bytes]:
    """n scores, evenly over so many hours until NOON, in the order of time."""
    random = np.random.default_rng(seed)
    values = np.clip(random.beta(20, 28, n) + higher, 0, 1)
    kafka_time = np.linspace(NOON - hours * HOUR, NOON - 1, n).astype(int)
    return [
        json.dumps(
            {
                "channel": CHANNELS[i % 4],
                "merchant_category": CATEGORIES[i % 3],
                "kafka_time": int(kafka_time[i]),
                "anomaly_score": float(values[i]),
                "is_anomaly": bool(values[i] > model.threshold),
                "model_version": model.version,
                "model_digest": model.digest[:16],
            }
        ).encode()
        for i in range(n)
    ]


def put(settings: Settings, values: Sequence[bytes]) -> None:
    producer = Producer({"bootstrap.servers": settings.kafka_bootstrap_servers})
    for number, value in enumerate(values):
        producer.produce(settings.scores_topic, value, partition=number % 4)
        producer.poll(0)
    producer.flush(30)


def make_all(spark: SparkSession, settings: Settings) -> list[Table]:
    """Run the query until it has dealt with all scores; the tables on the topic then."""
    spark.conf.set("spark.sql.shuffle.partitions", "2")
    query = thresholds.start(spark, settings, Gate())
    try:
        query.processAllAvailable()
    finally:
        query.stop()
    records = read_topic(settings.kafka_bootstrap_servers, settings.thresholds_topic)
    return [msgspec.json.decode(record.value, type=Table) for record in records]


def test_tables_follow_the_scores_whatever_the_cut_and_also_after_a_restart(
    spark: SparkSession, ready: Settings, models: list[Model], tmp_path: Path
) -> None:
    ordinary, later = scored(6_000, 1, 26, models[0]), scored(200, 2, 0.0, models[0], higher=0.05)
    put(ready, ordinary[:3_000])
    make_all(spark, ready)
    put(ready, [*ordinary[3_000:], *later])
    tables = make_all(spark, ready)
    assert [table.version for table in tables] == list(range(1, len(tables) + 1))
    assert tables[-1].model_version == 1
    assert len(tables[-1].thresholds) == len(models[0].reference.segments)  # type: ignore[union-attr]
    # A replay has its own micro-batches, topic and checkpoint, and comes to the same thresholds.
    again = ready.model_copy(
        update={
            "checkpoint": str(tmp_path / "again"),
            "max_offsets_per_trigger": 500,
            "thresholds_topic": f"{ready.thresholds_topic}.again",
        }
    )
    create_topics(again)
    replayed = make_all(spark, again)
    assert len(replayed) > 2
    assert replayed[-1].same_thresholds(tables[-1])
    # The last micro-batch once more, as after a crash before its commit: it is not counted twice, and nothing is published.
    commits = Path(ready.checkpoint) / "thresholds" / "commits"
    newest = max(int(file.name) for file in commits.iterdir() if file.name.isdigit())
    (commits / str(newest)).unlink()
    (commits / f".{newest}.crc").unlink(missing_ok=True)
    state = newest_state(spark, ready)
    assert make_all(spark, ready) == tables
    assert newest_state(spark, ready) == state


def newest_state(spark: SparkSession, settings: Settings) -> bytes | None:
    return DurableFolder(spark, f"{settings.checkpoint}/thresholds-state").read_newest("counts-by-model")


def test_a_first_start_goes_on_with_the_numbers_of_the_tables_that_the_topic_holds(
    spark: SparkSession, ready: Settings, models: list[Model]
) -> None:
    publish_table(ready.thresholds_topic, KafkaConfig.from_settings(ready), "scoreline", Table(41, 1, 0, 1, 0, 0.6, {}))
    put(ready, scored(2_000, 3, 26, models[0]))
    tables = make_all(spark, ready)
    assert [table.version for table in tables] == list(range(41, 41 + len(tables)))
    assert newest_table(ready.thresholds_topic, KafkaConfig.from_settings(ready)) == tables[-1]
    assert len(tables) > 1


def table(version: int, model: Model, lower: float) -> Table:
    """A table that lies below the model's own threshold, and in one segment more than in the others."""
    own = model.threshold
    special = segment_name("online", "travel")
    thresholds = {special: own - 2 * lower}
    return Table(version, model.version, NOON - BLOCK, NOON, 0, own - lower, thresholds, model.digest[:16])


@dataclass
class Running:
    """A detection query under way."""

    settings: Settings
    query: StreamingQuery
    sent: int = 0

    def until_judged_by(self, version: int, whole: list[Any]) -> None:
        """Send messages in small batches until one was judged by a version of the table."""
        deadline = time.monotonic() + 120
        while version not in {score["threshold_version"] for score in scores(self.settings).values()}:
            assert time.monotonic() < deadline, f"table {version} was not taken up"
            send(self.settings, whole[self.sent : self.sent + 50])
            self.sent += 50
            self.query.processAllAvailable()


@pytest.fixture
def start(spark: SparkSession) -> Iterator[Callable[[Settings], Running]]:
    queries: list[StreamingQuery] = []

    def begin(settings: Settings) -> Running:
        spark.conf.set("spark.sql.shuffle.partitions", str(settings.state_partitions))
        queries.append(detect.start(spark, settings, Gate()))
        return Running(settings, queries[-1])

    yield begin
    for query in queries:
        query.stop()


def test_each_micro_batch_is_judged_by_one_table_and_a_replay_by_the_same(
    settings: Settings,
    models: list[Model],
    start: Callable[[Settings], Running],
    detect_all: Detect,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    whole = messages(traffic(5_000, customers=100, seed=21))
    options, topic = KafkaConfig.from_settings(settings), settings.thresholds_topic
    tables = {number: table(number, models[0], 0.02 * number) for number in (1, 2)}
    running = start(settings)
    running.until_judged_by(0, whole)
    for number in tables:
        publish_table(topic, options, "scoreline", tables[number])
        running.until_judged_by(number, whole)
    publish_table(topic, options, "scoreline", table(3, models[1], 0.0))  # of a model that does not judge
    running.query.processAllAvailable()
    running.query.stop()
    first = scores(settings)
    assert len(first) == running.sent
    by_batch: dict[int, set[int]] = {}
    for score in first.values():
        by_batch.setdefault(score["micro_batch"], set()).add(score["threshold_version"])
        version = score["threshold_version"]
        own = segment_name(score["channel"], score["merchant_category"])
        judge = tables.get(version)
        expected = models[0].threshold if judge is None else judge.thresholds.get(own, judge.default)
        assert score["threshold"] == expected
        assert score["is_anomaly"] == (score["anomaly_score"] > expected)
    assert all(len(versions) == 1 for versions in by_batch.values())
    assert {version for versions in by_batch.values() for version in versions} == {0, 1, 2}
    assert set(scores(settings, settings.alerts_topic)) == {place for place, s in first.items() if s["is_anomaly"]}
    check_explained(settings, lake_of(settings, tmp_path / "lake"), every=50)
    # After a restart the last table is in use at once.
    send(settings, whole[running.sent : running.sent + 100])
    detect_all(settings)
    restarted = scores(settings)
    new = {place: score for place, score in restarted.items() if place not in first}
    assert len(new) == 100
    assert {score["threshold_version"] for score in new.values()} <= {0, 2}
    assert {place: judgement(restarted[place]) for place in first} == {p: judgement(s) for p, s in first.items()}
    # A replay that is cut otherwise, with the earlier ledger up to where that knows.
    send(settings, whole[running.sent + 100 : running.sent + 130])
    again = settings.model_copy(
        update={
            "checkpoint": str(tmp_path / "again"),
            "max_offsets_per_trigger": 170,
            "replay_of": settings.checkpoint,
            "scores_topic": f"{settings.scores_topic}.again",
        }
    )
    create_topics(again)
    detect_all(again)
    replayed = scores(again)
    assert len(replayed) == running.sent + 130
    assert {p: full_judgement(replayed[p]) for p in restarted} == {p: full_judgement(s) for p, s in restarted.items()}
    assert "records are judged again" in caplog.text
    assert sum(int(record.args[0]) for record in caplog.records if "judged again" in record.msg) == 30  # type: ignore[index, arg-type]


def full_judgement(score: dict[str, Any]) -> dict[str, Any]:
    return judgement(score) | {"threshold_version": score["threshold_version"], "reasons": score.get("reasons")}


def test_with_fixed_thresholds_tables_play_no_part(
    settings: Settings, models: list[Model], start: Callable[[Settings], Running]
) -> None:
    publish_table(
        settings.thresholds_topic,
        KafkaConfig.from_settings(settings),
        "scoreline",
        table(1, models[0], 0.02),
    )
    running = start(settings.model_copy(update={"adaptive_thresholds": False}))
    whole = messages(traffic(200, customers=20, seed=22))
    for begin in (0, 100):
        send(settings, whole[begin : begin + 100])
        running.query.processAllAvailable()
    found = scores(settings).values()
    assert {(score["threshold"], score["threshold_version"]) for score in found} == {(models[0].threshold, 0)}


def test_without_kafka_the_newest_kept_table_is_in_use(
    spark: SparkSession, settings: Settings, models: list[Model], tmp_path: Path
) -> None:
    kept = ThresholdStore(DurableFolder(spark, str(tmp_path / "tables")))
    assert kept.newest is None
    for number in (9, 10):
        made = table(number, models[0], 0.01)
        assert kept.table(number, kept.keep(made)) == made
    away = KafkaConfig("127.0.0.1:9")
    poller = ThresholdPoller(settings.thresholds_topic, away, kept.newest)
    poller.poll(lambda: False)
    current = poller.current(models[0].digest)
    assert current is not None
    assert current.version == 10
    assert poller.current("0" * 64) is None  # another registry's model, whatever its version
    with pytest.raises(LookupError, match="lacks the table of thresholds 11"):
        kept.table(11, "0" * 16)
