import itertools
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobs.publish_points import Publication, PublishedScore, draw, point_times
from jobs.throughput import Tally
from ml.schema import Reason, Score
from sinks.points_file import PointsFileSink

Record = tuple[bytes | None, bool, int, int, int, int | None, int | None]
COLUMNS = pa.schema(
    {
        "value": pa.binary(),
        "dead": pa.bool_(),
        "kafka_time": pa.int64(),
        "partition": pa.int32(),
        "offset": pa.int64(),
        "input_partition": pa.int32(),
        "input_offset": pa.int64(),
    }
)


def score(number: int, **changes: Any) -> Score:
    """A score of partition number % 4; one of three is an anomaly."""
    fields: dict[str, Any] = {
        "transaction_id": f"t{number}",
        "event_time": datetime(2026, 1, 1, tzinfo=UTC),
        "customer_id": "c1",
        "amount": 12.5,
        "partition": number % 4,
        "offset": number // 4,
        "kafka_time": 1_700_000_000_000 + number,
        "late": number % 5 == 0,
        "key_mismatch": False,
        "micro_batch": 0,
        "features": {"amount_z": 1.0},
        "anomaly_score": 0.5,
        "threshold": 0.6,
        "is_anomaly": number % 3 == 0,
        "model_name": "scoreline",
        "model_version": 1 + number // 100,
        "scored_at": 0,
        "reasons": [Reason("amount_z", 12.3, -1.2, 3.4)] if number % 3 == 0 else [],
    }
    return Score(**fields | changes)


def record_of(number: int, kind: str) -> Record:
    kafka_time = 1_700_000_000_500 + 2 * number
    if kind == "dead":
        return None, True, kafka_time, 0, number, number % 4, number // 4
    if kind == "headless":
        return None, True, kafka_time, 0, number, None, None
    value = {"score": msgspec.json.encode(score(number)), "broken": b"{", "tombstone": None}[kind]
    return value, False, kafka_time, 0, number, None, None


def batch_of(records: list[Record]) -> pa.RecordBatch:
    columns = zip(*records, strict=True) if records else [[] for _ in COLUMNS]
    arrays = [pa.array(column, field.type) for column, field in zip(columns, COLUMNS, strict=True)]
    return pa.record_batch(arrays, schema=COLUMNS)


def publish(path: Path, batches: list[pa.RecordBatch], **how: Any) -> tuple[Tally, list[bytes]]:
    """(tally, lines written)"""
    path.unlink(missing_ok=True)
    [answer] = Publication(PointsFileSink(path), 4, **how).publish(iter(batches))
    lines = path.read_bytes().splitlines() if path.exists() else []
    return msgspec.msgpack.decode(answer["tally"][0].as_py(), type=Tally), lines


RECORDS = st.lists(
    st.sampled_from(["score", "score", "score", "dead", "headless", "broken", "tombstone"]), max_size=60
).map(lambda kinds: [record_of(number, kind) for number, kind in enumerate(kinds)])


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(records=RECORDS, cuts=st.lists(st.integers(0, 60), max_size=5))
def test_however_the_records_are_cut_into_batches_and_tasks_points_and_sums_are_the_same(
    tmp_path: Path, records: list[Record], cuts: list[int]
) -> None:
    whole, lines = publish(tmp_path / "points", [batch_of(records)])
    bounds = [0, *sorted(cuts), len(records)]
    pieces = [batch_of(records[start:end]) for start, end in itertools.pairwise(bounds)]
    in_batches, lines_in_batches = publish(tmp_path / "points", pieces)
    in_tasks = [publish(tmp_path / "points", [piece]) for piece in pieces]

    assert in_batches == whole
    assert sum((tally for tally, _ in in_tasks), Tally()) == whole
    assert sorted(lines_in_batches) == sorted(lines)
    assert sorted(line for _, lines in in_tasks for line in lines) == sorted(lines)


def test_every_record_is_counted_as_what_it_is(tmp_path: Path) -> None:
    kinds = ["score"] * 200 + ["dead"] * 5 + ["headless"] * 2 + ["broken", "tombstone"]
    tally, lines = publish(
        tmp_path / "points", [batch_of([record_of(number, kind) for number, kind in enumerate(kinds)])]
    )
    assert (tally.scored, tally.anomalies, tally.late, tally.invalid, tally.unreadable) == (200, 67, 40, 7, 2)
    assert (tally.model_version, tally.first_time, tally.last_time) == (
        2,
        1_700_000_000_500,
        1_700_000_000_500 + 2 * 208,
    )
    assert tally.latency == {500 + number: 1 for number in range(200)}
    assert tally.first == {0: 0, 1: 0, 2: 0, 3: 0}
    assert tally.next == {0: 52, 1: 51, 2: 51, 3: 51}
    assert tally.example is not None
    assert tally.example.startswith("at partition 0, offset 207: ")
    assert [sum(line.startswith(name) for line in lines) for name in (b"transaction_score,", b"alert,")] == [200, 67]


def test_only_anomalies_are_written_when_that_is_asked_for_and_all_are_counted(tmp_path: Path) -> None:
    batch = batch_of([record_of(number, "score") for number in range(90)])
    tally, lines = publish(tmp_path / "points", [batch], points="anomalies")
    assert tally.scored == 90
    assert len(lines) == 60
    assert all(b"is_anomaly=true" in line for line in lines if line.startswith(b"transaction_score"))


def test_a_sample_has_all_anomalies_and_about_its_share_of_the_rest_the_same_at_each_retry(tmp_path: Path) -> None:
    batch = batch_of([record_of(number, "score") for number in range(6_000)])
    _, lines = publish(tmp_path / "points", [batch], points="sampled", share=0.1)
    scores = [line for line in lines if line.startswith(b"transaction_score")]
    normal = [line for line in scores if b"is_anomaly=false" in line]
    assert len(scores) - len(normal) == 2_000
    assert 320 < len(normal) < 480
    assert publish(tmp_path / "points", [batch], points="sampled", share=0.1)[1] == lines


def test_the_draw_is_even_over_every_partition() -> None:
    offsets = np.arange(20_000)
    for partition in range(4):
        counts, _ = np.histogram(draw(np.full(20_000, partition), offsets), bins=10, range=(0, 1))
        assert counts.min() > 1_800
        assert counts.max() < 2_200


@given(partitions=st.integers(1, 64), start=st.integers(0, 2**40), kafka_time=st.integers(0, 4_000_000_000_000))
def test_transactions_of_one_millisecond_have_times_of_their_own(partitions: int, start: int, kafka_time: int) -> None:
    count = 1_000
    partition = np.arange(count) % partitions
    offset = start + np.arange(count) // partitions
    columns = {"partition": partition, "offset": offset, "kafka_time": np.full(count, kafka_time)}
    times = point_times({name: pa.array(values) for name, values in columns.items()}, partitions).to_numpy()
    assert len(set(times.tolist())) == count
    assert set((times // 1_000_000).tolist()) == {kafka_time}


def test_nulls_are_unknown_as_tags_and_left_out_as_fields(tmp_path: Path) -> None:
    value = msgspec.json.encode(score(3, country=None, merchant_category=None, channel="", merchant_id=None))
    record = (value, False, 1_700_000_000_500, 0, 0, None, None)
    _, [point, alert] = publish(tmp_path / "points", [batch_of([record])])
    assert point.startswith(b"transaction_score,channel=unknown,merchant_category=unknown anomaly_score=0.5,")
    assert b"country" not in point
    assert b"merchant_id" not in point
    assert alert.startswith(b"alert,channel=unknown,country=unknown,merchant_category=unknown transaction_id=")


def test_what_is_published_are_fields_of_a_score() -> None:
    assert set(PublishedScore.__struct_fields__) <= set(Score.__struct_fields__)


@pytest.mark.parametrize("value", [b'{"transaction_id": 5}', b"[]", b"\xff", b""])
def test_what_is_no_score_is_named_with_the_reason(tmp_path: Path, value: bytes) -> None:
    tally, lines = publish(tmp_path / "points", [batch_of([(value, False, 1, 2, 33, None, None)])])
    assert (tally.scored, tally.unreadable, lines) == (0, 1, [])
    assert tally.example is not None
    assert tally.example.startswith("at partition 2, offset 33: ")
