"""The detection query against one fold over the same log in one piece."""

from collections.abc import Callable

import pyarrow as pa
import pytest

from jobs.errors import Fatal
from ml.model import Model
from ml.registry import Registry
from ml.state import CustomerTable
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


def test_a_first_start_takes_in_the_customers_past(
    settings: Settings, detect_all: Detect, tmp_path_factory: pytest.TempPathFactory
) -> None:
    past, live = traffic(3_000, customers=200, seed=6)[:2_000], traffic(3_000, customers=200, seed=6)[2_000:]
    table = CustomerTable()
    table.fold(pa.array([t.customer_id for t in past]), events_of(past))
    path = tmp_path_factory.mktemp("past") / "state.parquet"
    table.write(path)
    send(settings, messages(live))
    detect_all(settings.model_copy(update={"initial_state": path, "max_offsets_per_trigger": 400}))
    rows = table.fold(pa.array([t.customer_id for t in live]), events_of(live)).features
    expected = dict(zip([t.transaction_id for t in live], rows.tolist(), strict=True))
    found = {s["transaction_id"]: list(s["features"].values()) for s in scores(settings).values()}
    assert found == expected


def test_a_first_start_may_begin_with_what_comes_after_it(settings: Settings, detect_all: Detect) -> None:
    send(settings, messages(traffic(100, customers=20, seed=8)))
    late = settings.model_copy(update={"starting_offsets": "latest"})
    detect_all(late)
    assert not scores(settings)
    send(settings, messages(traffic(50, customers=20, seed=9)))
    detect_all(late)  # from its checkpoint now
    assert {score["transaction_id"] for score in scores(settings).values()} == {f"T9-{k}" for k in range(50)}


def test_a_promotion_between_two_micro_batches_is_taken_up_without_a_restart(
    settings: Settings, registry: Registry, detect_all: Detect
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
