"""Profiles on real Kafka and Spark: how tables come about, also after kills, and how transactions are judged by them."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from confluent_kafka import Producer
from pyspark.sql import SparkSession
from pyspark.sql.streaming import StreamingQuery

from detection.profile_store import ProfileStore
from detection.table_files import Name
from jobs import detect, profiles
from jobs.runtime.storage import DurableFolder
from jobs.runtime.supervisor import Gate
from messaging.topics import create_topics
from ml.features import FEATURES
from ml.features.events import hash_id, milliseconds
from ml.features.profile_counts import blocks_of, label_counts
from ml.features.profile_schema import SUMS
from ml.features.profiles import PROFILE_FEATURES, Profiles
from settings import Settings
from tests.integration.application import Application
from tests.integration.lake import check_explained, lake_of
from tests.integration.traffic import messages, scores, send, traffic
from tests.jobs.profile_log import BLOCK_SECONDS, MERCHANTS, START, Record, counted, label, labels
from tests.jobs.profile_log import scores as made_up
from tests.support.kafka import read_topic
from versions.profiles import Announcement

FIRST = START // 1000 // BLOCK_SECONDS


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(
        update={"profile_block_seconds": BLOCK_SECONDS, "profiles_interval_seconds": 0.2, "publish": False}
    )


def put(settings: Settings, records: Sequence[Record]) -> None:
    """Produce records, each to its partition."""
    topics = {"scores": settings.scores_topic, "labels": settings.labels_topic}
    producer = Producer({"bootstrap.servers": settings.kafka_bootstrap_servers, "enable.idempotence": True})
    for record in records:
        producer.produce(topics[record.topic], record.value, partition=record.partition)
        producer.poll(0)
    producer.flush(30)


def make_all(spark: SparkSession, settings: Settings) -> list[Announcement]:
    """Run the query until it has dealt with all records; the tables on the topic then."""
    query = profiles.start(spark, settings, Gate())
    try:
        query.processAllAvailable()
    finally:
        query.stop()
    return announced(settings)


def announced(settings: Settings) -> list[Announcement]:
    records = read_topic(settings.kafka_bootstrap_servers, settings.profiles_topic)
    return [msgspec.json.decode(record.value, type=Announcement) for record in records]


def wait_until_in_use(settings: Settings) -> None:
    """Until detect has taken up the newest table that is announced, if there is one."""
    kept = Path(settings.checkpoint) / "profile-tables"
    newest = announced(settings)[-1:]
    deadline = time.monotonic() + 120
    while not all((kept / f"{one.name}.profiles").exists() for one in newest):
        assert time.monotonic() < deadline, f"{newest} was not taken up"
        time.sleep(0.05)


def table(spark: SparkSession, announcement: Announcement) -> Profiles:
    return ProfileStore(DurableFolder(spark, announcement.folder, create=False)).table(announcement.name)


LIVE = 2**62
"""A time (ms) after that of any live record."""


def expected(records: Sequence[Record], as_of: int) -> Profiles:
    found, _ = counted([records], now=LIVE)
    out = Profiles.empty(as_of, BLOCK_SECONDS)
    out.take_in(found.counts[found.counts["block"] <= as_of])
    return out


def fraud(number: int, at: int) -> np.ndarray:
    hashes = [
        np.array([hash_id(text)], np.uint64) for text in (f"M{number % MERCHANTS}", "fuel" if number % 2 else None)
    ]
    of = blocks_of(np.array([START + number * 1000]), BLOCK_SECONDS)
    return label_counts(*hashes, of, np.array([at]), np.array([at]), np.array([1]))


def same(one: Profiles, other: Profiles) -> bool:
    one, other = one.pruned(), other.pruned()
    arrays = ((one.keys, other.keys), (one.sums, other.sums), (one.total, other.total))
    return one.as_of == other.as_of and all(a.tobytes() == b.tobytes() for a, b in arrays)


def test_tables_are_the_pure_function_of_scores_and_labels_also_after_restarts_and_lost_commits(
    spark: SparkSession, settings: Settings
) -> None:
    whole = made_up(range(600))
    put(settings, [*whole[:200], *labels([label(3), label(4), label(4, False, "chargeback")])])
    assert [one.block - FIRST for one in make_all(spark, settings)] == [2]
    put(settings, [*whole[150:400], *labels([label(3)])])  # as detect may, after a kill
    tables = make_all(spark, settings)
    assert [(one.version, one.block - FIRST) for one in tables] == [(1, 2), (2, 5)]
    # The last micro-batch once more, as after a crash before its commit: nothing is counted twice, and nothing announced.
    commits = Path(settings.checkpoint) / "profiles" / "commits"
    newest = max(int(file.name) for file in commits.iterdir() if file.name.isdigit())
    (commits / str(newest)).unlink()
    (commits / f".{newest}.crc").unlink(missing_ok=True)
    assert make_all(spark, settings) == tables
    put(settings, whole[400:])
    last = make_all(spark, settings)[-1]
    wanted = expected(whole, last.block)
    wanted.take_in_labels(fraud(3, FIRST + 2))
    assert same(table(spark, last), wanted)
    assert sum(last.offsets[settings.scores_topic].values()) == 650
    assert sum(last.offsets[settings.labels_topic].values()) == 4


def now_traffic(n: int, seed: int, start: datetime, seconds: float) -> list[Any]:
    """n transactions, evenly over so many seconds from then on."""
    some = traffic(n, customers=50, seed=seed)
    return [
        msgspec.structs.replace(
            one, event_time=start + timedelta(seconds=seconds * row / n), merchant_id=f"M{row % 20}"
        )
        for row, one in enumerate(some)
    ]


def label_of(transaction: Any, is_fraud: bool = True) -> bytes:
    return label(0, is_fraud).replace(b'"T0"', json.dumps(transaction.transaction_id).encode())


def check_parity(settings: Settings) -> set[int]:
    """Each score's profile features are those of the table that it names; returns the versions."""
    store = ProfileStore(DurableFolder.on_disk(Path(settings.checkpoint) / "profile-tables"))
    names = {
        int(file.name.split("-")[0]): file.name for file in (Path(settings.checkpoint) / "profile-tables").iterdir()
    }
    found = [msgspec.json.decode(json.dumps(one), type=dict[str, Any]) for one in scores(settings).values()]
    for score in found:
        if score["profile_version"] == 0:
            assert set(score["profile_features"]) == {0.0}
            continue
        name = Name(score["profile_version"], names[score["profile_version"]].split("-")[1].removesuffix(".profiles"))
        profile = store.table(name)
        hashes = [np.array([hash_id(score[field])], np.uint64) for field in ("merchant_id", "merchant_category")]
        values = profile.features(*hashes, np.array([score["features"][FEATURES.index("log_amount")]]))
        assert values[0].tolist() == score["profile_features"]
        time_ms = milliseconds(datetime.fromisoformat(score["event_time"]))
        assert score.get("profile_ahead", False) == (time_ms // (BLOCK_SECONDS * 1000) <= profile.as_of)
    return {score["profile_version"] for score in found}


@pytest.fixture
def running(spark: SparkSession) -> Iterator[Callable[[Settings], list[StreamingQuery]]]:
    queries: list[StreamingQuery] = []

    def begin(settings: Settings) -> list[StreamingQuery]:
        spark.conf.set("spark.sql.shuffle.partitions", str(settings.state_partitions))
        started = [detect.start(spark, settings, Gate()), profiles.start(spark, settings, Gate())]
        queries.extend(started)
        return started

    yield begin
    for query in queries:
        query.stop()


@pytest.mark.usefixtures("by_profiles")
def test_scores_carry_the_profiles_of_the_table_that_the_ledger_names_and_a_replay_the_same(
    settings: Settings,
    running: Callable[[Settings], list[StreamingQuery]],
    detect_all: Callable[..., None],
    tmp_path: Path,
) -> None:
    start = datetime(2026, 3, 2, 8, tzinfo=UTC)
    whole = now_traffic(900, 31, start, 900)
    queries = running(settings)
    for piece in range(0, 900, 150):
        send(settings, messages(whole[piece : piece + 150]))
        put(settings, labels([label_of(one) for one in whole[piece : piece + 5]]))
        for query in queries:
            query.processAllAvailable()
        wait_until_in_use(settings)
    for query in queries:
        query.stop()
    assert len(versions := check_parity(settings)) >= 4
    assert versions > {0}
    check_explained(settings, lake_of(settings, tmp_path / "lake"))
    first = scores(settings)
    assert any(score["profile_features"][PROFILE_FEATURES.index("merchant_risk_1d")] > 0 for score in first.values())
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
    assert replayed.keys() == first.keys()
    for place, score in first.items():
        for name in ("profile_features", "profile_version", "anomaly_score", "is_anomaly", "profile_set"):
            assert replayed[place][name] == score[name]


@pytest.mark.alone
@pytest.mark.usefixtures("by_profiles")
def test_a_label_reaches_the_first_score_within_25_s_of_its_arrival(
    settings: Settings, running: Callable[[Settings], list[StreamingQuery]]
) -> None:
    settings = settings.model_copy(update={"profile_block_seconds": 10, "profiles_interval_seconds": 2.0})
    running(settings)
    risk = PROFILE_FEATURES.index("merchant_risk_1d")
    kept = Path(settings.checkpoint) / "profile-tables"
    begun, sent = time.monotonic(), list[Any]()
    labelled = 0.0
    while time.monotonic() - begun < 90:
        piece = now_traffic(40, len(sent), datetime.now(UTC), 0.5)
        send(settings, messages(piece))
        sent += piece
        time.sleep(0.5)
        if not labelled and any(kept.glob("*.profiles")):  # a first table is in use
            put(settings, labels([label_of(one) for one in sent if one.merchant_id == "M3"][:20]))
            labelled = time.time() * 1000
        if labelled and time.time() * 1000 - labelled > 3_000:
            knowing = [
                record.timestamp
                for record in read_topic(settings.kafka_bootstrap_servers, settings.scores_topic)
                if (score := msgspec.json.decode(record.value))["merchant_id"] == "M3"
                and score["profile_features"][risk] > 0.5
            ]
            if knowing:
                seconds = (min(knowing) - labelled) / 1000
                print(f"a label is known after {seconds:.1f} s")
                assert 0 < seconds <= 25
                return
    pytest.fail("no score knows the label")


@pytest.mark.usefixtures("by_profiles")
@pytest.mark.long
def test_killed_at_any_moment_profiles_count_each_record_once(
    spark: SparkSession, settings: Settings, start: Callable[..., Application]
) -> None:
    kills = 3
    begin = datetime(2026, 3, 2, 8, tzinfo=UTC)
    whole = now_traffic(1_000 * kills, 41, begin, 1_500)
    state = Path(settings.checkpoint) / "profiles-state"
    for number in range(kills):
        send(settings, messages(whole[1_000 * number : 1_000 * (number + 1)]))
        put(settings, labels([label_of(one) for one in whole[1_000 * number : 1_000 * number + 20]]))
        with start(settings) as application:
            files = set(state.iterdir()) if state.exists() else set()
            application.wait_until(
                lambda known=files: state.exists() and set(state.iterdir()) - known != set(),
                "a state of profiles",  # type: ignore[misc]
            )
            application.kill()
    after = now_traffic(400, 42, begin + timedelta(seconds=1_500), 200)  # then all blocks of the others are over
    with start(settings) as application:
        application.wait_until(lambda: len(scores(settings)) == len(whole), "all scores")
        application.wait_until(lambda: len(announced(settings)) > 0, "a table")
        wait_until_in_use(settings)  # so that those that come now are judged by it
        send(settings, messages(after))
        over = milliseconds(begin + timedelta(seconds=1_499)) // (1000 * BLOCK_SECONDS)
        application.wait_until(lambda: max((one.block for one in announced(settings)), default=0) >= over, "the table")
        application.stop()
    last = announced(settings)[-1]
    taken_in = last.offsets[settings.scores_topic]  # of the scores of `after` some may have come too late for it
    records = [
        Record("scores", record.partition, record.offset, record.value, LIVE)
        for record in read_topic(settings.kafka_bootstrap_servers, settings.scores_topic)
        if record.offset < taken_in[str(record.partition)]
    ]
    assert len({score["transaction_id"] for score in (json.loads(each.value or b"") for each in records)}) >= len(whole)
    wanted, found = expected(records, last.block).pruned(), table(spark, last)
    other = [row for row, kept in enumerate(SUMS) if kept.counted != "frauds"]
    assert found.keys.tobytes() == wanted.keys.tobytes()
    assert found.sums[:, other].tobytes() == wanted.sums[:, other].tobytes()
    labelled = [row for row, kept in enumerate(SUMS) if kept.counted == "frauds"]
    assert (found.total[labelled] > 0).all()
    assert len(check_parity(settings)) > 1
