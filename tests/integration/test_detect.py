"""The detection query against one fold over the same log in one piece."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyspark.errors import StreamingQueryException

from jobs import detect
from jobs.runtime.errors import Fatal
from messaging.topics import create_topics
from ml.features import FEATURE_SET, FEATURES
from ml.features.customers import CustomerTable
from ml.model import Model
from ml.registry.model_store import ModelStore
from ml.schema import SCORE_SCHEMA
from settings import Settings
from tests.integration.traffic import events_of, judged, judgement, messages, scores, send, traffic
from tests.support.kafka import read_topic

Detect = Callable[..., None]


@pytest.mark.parametrize("max_offsets_per_trigger", [700, 100_000])
def test_scores_equal_those_of_one_fold_however_the_log_is_cut(
    settings: Settings, models: list[Model], detect_all: Detect, max_offsets_per_trigger: int
) -> None:
    send(settings, messages(traffic(4_000, customers=300, seed=5, hot=3)))
    cut = settings.model_copy(update={"max_offsets_per_trigger": max_offsets_per_trigger})
    detect_all(
        cut,
        **{
            "spark.sql.execution.arrow.maxRecordsPerBatch": "100",
            "spark.sql.execution.arrow.transformWithStateInPySpark.maxRecordsPerBatch": "100",
        },
    )
    expected = judged(read_topic(settings.kafka_bootstrap_servers, settings.transactions_topic), models[0])
    found = scores(settings)
    assert len(expected) == 4_000
    assert {place: judgement(score) for place, score in found.items()} == expected
    assert any(score["late"] for score in found.values())
    anomalies = {place for place, score in expected.items() if score["is_anomaly"]}
    assert anomalies
    assert set(scores(settings, settings.alerts_topic)) == anomalies
    assert all(len(found[place]["reasons"]) in (1, 2, 3) for place in anomalies)
    assert not any("reasons" in score for place, score in found.items() if place not in anomalies)
    assert {(score["schema_version"], score["lane"], score["feature_set"]) for score in found.values()} == {
        (SCORE_SCHEMA, "spark", FEATURE_SET)
    }
    assert all(list(found[place]["named_features"].values()) == found[place]["features"] for place in anomalies)


def test_a_first_start_takes_in_the_customers_past(
    settings: Settings, detect_all: Detect, tmp_path_factory: pytest.TempPathFactory
) -> None:
    past, live = traffic(3_000, customers=200, seed=6)[:2_000], traffic(3_000, customers=200, seed=6)[2_000:]
    table = CustomerTable()
    table.fold(pa.array([t.customer_id for t in past]), events_of(past))
    path = tmp_path_factory.mktemp("past") / "state [1] of {two}*, 100%.parquet"  # as it is, not as a pattern
    table.write(path)
    send(settings, messages(live))
    detect_all(settings.model_copy(update={"initial_state": f"file://{path}", "max_offsets_per_trigger": 400}))
    rows = table.fold(pa.array([t.customer_id for t in live]), events_of(live)).features
    expected = dict(zip([t.transaction_id for t in live], rows.tolist(), strict=True))
    found = {s["transaction_id"]: s["features"] for s in scores(settings).values()}
    assert found == expected


def past_of(customers: int, path: Path) -> Path:
    """The folded past of customers, in a file."""
    table, past = CustomerTable(), traffic(1_000, customers=customers, seed=6)
    table.fold(pa.array([t.customer_id for t in past]), events_of(past))
    table.write(path)
    return path


def test_a_restart_does_not_read_the_past_again_however_long_ago_the_first_commit_was(
    settings: Settings, detect_all: Detect, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    past = past_of(50, tmp_path / "past" / "state.parquet")
    first = settings.model_copy(update={"initial_state": str(past), "max_offsets_per_trigger": 50})
    few = {"spark.sql.streaming.minBatchesToRetain": "2"}
    whole = messages(traffic(500, customers=50, seed=61))
    send(settings, whole[:400])
    detect_all(first, **few)
    commits = Path(settings.checkpoint) / "detect" / "commits"
    assert not (commits / "0").exists()  # Spark keeps the newest
    past.unlink()
    caplog.clear()
    send(settings, whole[400:450])
    detect_all(first, **few)
    send(settings, whole[450:])
    detect_all(settings, **few)  # without the flag
    assert "new to this job" not in caplog.text
    assert len(scores(settings)) == 500


def test_a_first_start_that_ended_before_its_first_commit_reads_the_past_again(
    settings: Settings, detect_all: Detect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    past = past_of(50, tmp_path / "past" / "state.parquet")
    first = settings.model_copy(update={"initial_state": str(past)})
    live = traffic(200, customers=50, seed=62)
    send(settings, messages(live))
    with monkeypatch.context() as patch:
        patch.setattr(detect.Detection, "write", lambda *_: 1 / 0)
        with pytest.raises(StreamingQueryException):
            detect_all(first)
    assert (Path(settings.checkpoint) / "detect" / "offsets" / "0").exists()
    hidden = past.rename(past.with_name("elsewhere"))
    with pytest.raises(
        Fatal, match=r"--initial-state .*state.parquet can't be read .*until its first micro-batch is done"
    ):
        detect_all(first)
    hidden.rename(past)
    detect_all(first)
    table, before = CustomerTable(), traffic(1_000, customers=50, seed=6)
    table.fold(pa.array([t.customer_id for t in before]), events_of(before))
    rows = table.fold(pa.array([t.customer_id for t in live]), events_of(live)).features
    expected = dict(zip([t.transaction_id for t in live], rows.tolist(), strict=True))
    assert {s["transaction_id"]: s["features"] for s in scores(settings).values()} == expected


def test_micro_batches_that_the_ledger_knows_go_on_with_the_old_model_when_version_1_is_another_one(
    settings: Settings,
    models: list[Model],
    detect_all: Detect,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    whole = messages(traffic(400, customers=50, seed=63))
    send(settings, whole[:200])
    with monkeypatch.context() as patch:  # recorded, and perhaps sent, but not committed
        patch.setattr(detect.Detection, "_to_kafka", lambda *_: 1 / 0)
        with pytest.raises(StreamingQueryException):
            detect_all(settings)
    rebuilt = ModelStore(f"sqlite:///{tmp_path / 'rebuilt.db'}", "cards", "champion")
    other = rebuilt.register(
        dataclasses.replace(models[0], threshold=0.4, reference=None), np.zeros((5, len(FEATURES)))
    )
    rebuilt.promote(1)
    after = settings.model_copy(update={"mlflow_tracking_uri": rebuilt.uri, "model_name": "cards"})
    detect_all(after)
    send(settings, whole[200:])
    detect_all(after)
    found = scores(settings)
    by_batch = {(s["micro_batch"], s["model_name"], s["model_version"], s["model_digest"]) for s in found.values()}
    assert by_batch == {(0, "scoreline", 1, models[0].digest[:16]), (1, "cards", 1, other.digest[:16])}
    assert {s["threshold"] for s in found.values() if s["micro_batch"] == 0} == {models[0].threshold}
    assert {s["threshold"] for s in found.values() if s["micro_batch"] == 1} == {0.4}
    assert "version 1 of cards" in caplog.text
    assert "is another model than version 1 of scoreline" in caplog.text


def test_records_that_were_sent_are_judged_alike_when_spark_lost_its_newest_plans(
    settings: Settings, registry: ModelStore, detect_all: Detect
) -> None:
    """As after a loss of power: offsets and commits of some micro-batches are gone, and they are planned otherwise."""
    whole = messages(traffic(1_200, customers=60, seed=64))
    small = settings.model_copy(update={"max_offsets_per_trigger": 100})
    send(settings, whole[:500])
    detect_all(small)
    registry.promote(2)
    send(settings, whole[500:900])
    detect_all(small)
    first = scores(settings)
    assert {score["model_version"] for score in first.values()} == {1, 2}
    checkpoint = Path(settings.checkpoint) / "detect"
    newest = max(int(file.name) for file in (checkpoint / "commits").iterdir() if file.name.isdigit())
    for number in range(newest - 5, newest + 1):  # some of the first model's, all of the second's
        for folder in ("offsets", "commits"):
            (checkpoint / folder / str(number)).unlink()
            (checkpoint / folder / f".{number}.crc").unlink(missing_ok=True)
    registry.promote(1)
    send(settings, whole[900:])
    detect_all(settings.model_copy(update={"max_offsets_per_trigger": 330}))
    again = scores(settings)  # fails where two records of the same place contradict each other
    assert len(again) == 1_200
    new = {place: score for place, score in again.items() if place not in first}
    assert {score["model_version"] for score in new.values()} == {1}
    replay = settings.model_copy(
        update={
            "checkpoint": f"{settings.checkpoint}-again",
            "replay_of": settings.checkpoint,
            "scores_topic": f"{settings.scores_topic}.again",
            "max_offsets_per_trigger": 170,
        }
    )
    create_topics(replay)
    detect_all(replay)
    assert {p: judgement(s) for p, s in scores(replay).items()} == {p: judgement(s) for p, s in again.items()}


def test_a_first_start_may_begin_with_what_comes_after_it(settings: Settings, detect_all: Detect) -> None:
    send(settings, messages(traffic(100, customers=20, seed=8)))
    late = settings.model_copy(update={"starting_offsets": "latest"})
    detect_all(late)
    assert not scores(settings)
    send(settings, messages(traffic(50, customers=20, seed=9)))
    detect_all(late)  # from its checkpoint now
    assert {score["transaction_id"] for score in scores(settings).values()} == {f"T9-{k}" for k in range(50)}


def test_a_promotion_between_two_micro_batches_is_taken_up_without_a_restart(
    settings: Settings, registry: ModelStore, detect_all: Detect
) -> None:
    whole = messages(traffic(2_000, customers=100, seed=7))
    send(settings, whole[:1_000])
    detect_all(settings)
    registry.promote(2)
    send(settings, whole[1_000:])
    detect_all(settings)
    found = scores(settings)
    assert len(found) == 2_000
    by_batch: dict[int, set[int]] = {}
    for score in found.values():
        by_batch.setdefault(score["micro_batch"], set()).add(score["model_version"])
    assert all(len(versions) == 1 for versions in by_batch.values())
    assert {version for versions in by_batch.values() for version in versions} == {1, 2}


def test_a_start_with_other_state_settings_is_refused(settings: Settings, detect_all: Detect) -> None:
    send(settings, messages(traffic(10, customers=5, seed=8)))
    detect_all(settings)
    with pytest.raises(Fatal, match="state_partitions was 2 and is now 3"):
        detect_all(settings.model_copy(update={"state_partitions": 3}))


def test_a_replay_of_a_place_without_a_ledger_is_refused_and_nothing_is_made_there(
    settings: Settings, detect_all: Detect, tmp_path: Path
) -> None:
    place = tmp_path / "mistyped"
    with pytest.raises(Fatal, match=r"--replay-of .*mistyped has no ledger"):
        detect_all(settings.model_copy(update={"replay_of": f"file://{place}"}))
    assert not place.exists()
