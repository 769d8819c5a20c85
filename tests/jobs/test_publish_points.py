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

from jobs.point_places import draw, placed
from jobs.publish_points import Publication, requests
from jobs.published_score import PublishedScore
from jobs.score_sums import added_up
from jobs.throughput import Tally, Throughput
from ml.schema import Reason, Score
from sinks.points_file import PointsFileSink
from sinks.sink import PointsRefused
from tests.detection.scores import FORM

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
        "features": [1.0],
        "anomaly_score": 0.5,
        "threshold": 0.6,
        "is_anomaly": number % 3 == 0,
        "model_name": "scoreline",
        "model_version": 1 + number // 100,
        "scored_at": 0,
        "reasons": [Reason("amount_z", 12.3, -1.2, 3.4)] if number % 3 == 0 else [],
    }
    return Score(**FORM | fields | changes)


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
    reasons = ["the value is empty; a transaction is a JSON object" if record[1] else None for record in records]
    return pa.record_batch(arrays, schema=COLUMNS).append_column("reason", pa.array(reasons, pa.string()))


def publish(path: Path, batches: list[pa.RecordBatch], **how: Any) -> tuple[Tally, list[bytes]]:
    """(tally, lines written)"""
    path.unlink(missing_ok=True)
    [answer] = Publication(PointsFileSink(path), **how).publish(iter(batches))
    lines = path.read_bytes().splitlines() if path.exists() else []
    return msgspec.msgpack.decode(answer["tally"][0].as_py(), type=Tally), lines


def sums(tally: Tally) -> list[dict[str, Any]]:
    """The sums of a tally's tasks, in an order of their own."""
    added = added_up(tally.sums)
    return [] if added is None else sorted(added.to_pylist(), key=str)


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

    added = sum((tally for tally, _ in in_tasks), Tally())
    assert sums(in_batches) == sums(added) == sums(whole)
    in_batches.sums = added.sums = whole.sums
    assert in_batches == added == whole
    assert sorted(lines_in_batches) == sorted(lines)
    assert sorted(line for _, lines in in_tasks for line in lines) == sorted(lines)


def test_every_record_is_counted_as_what_it_is(tmp_path: Path) -> None:
    kinds = ["score"] * 200 + ["dead"] * 5 + ["headless"] * 2 + ["broken", "tombstone"]
    tally, lines = publish(
        tmp_path / "points", [batch_of([record_of(number, kind) for number, kind in enumerate(kinds)])]
    )
    assert (tally.scored, tally.anomalies, tally.late, tally.invalid, tally.unreadable) == (200, 67, 40, 7, 2)
    assert (tally.dead, tally.amounts) == ({"not_json": 7}, {"none": (200 * 12.5, 67 * 12.5)})
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


def identity(partition: list[int], offset: list[int], kafka_time: list[int]) -> list[tuple[int, int, int]]:
    """What InfluxDB knows each record by, apart from tags that do not tell records apart."""
    columns = {"partition": partition, "offset": offset, "kafka_time": kafka_time}
    found = placed({name: pa.array(values, pa.int64()) for name, values in columns.items()})
    return list(zip(partition, found["lap"].to_pylist(), found["time_ns"].to_pylist(), strict=True))


OFFSETS = st.integers(0, 2**47).flatmap(
    lambda start: st.lists(st.integers(start, start + 99_999_999), unique=True, min_size=2, max_size=50)
)


@given(offsets=OFFSETS, kafka_time=st.integers(-(2**63), 2**63 - 1), partitions=st.integers(1, 64))
def test_100_million_records_of_a_partition_in_one_millisecond_have_points_of_their_own(
    offsets: list[int], kafka_time: int, partitions: int
) -> None:
    places = [(partition, offset) for partition in range(partitions) for offset in offsets]
    found = identity([p for p, _ in places], [o for _, o in places], [kafka_time] * len(places))
    assert len(set(found)) == len(places)
    assert all(0 <= time < 2**63 - 1 for _, _, time in found)
    if 0 <= kafka_time < 9_000_000_000_000:
        assert {time // 1_000_000 for _, _, time in found} == {kafka_time}


def test_the_ends_of_a_millisecond_and_of_the_laps_stay_apart() -> None:
    offsets = [0, 999_999, 1_000_000, 1_999_999, 99_999_999]
    assert identity([3] * 5, offsets, [7] * 5) == [
        (3, 0, 7_000_000),
        (3, 0, 7_999_999),
        (3, 1, 7_000_000),
        (3, 1, 7_999_999),
        (3, 99, 7_999_999),
    ]


def test_nulls_are_unknown_as_tags_and_left_out_as_fields(tmp_path: Path) -> None:
    value = msgspec.json.encode(score(3, country=None, merchant_category=None, channel="", merchant_id=None))
    record = (value, False, 1_700_000_000_500, 0, 0, None, None)
    _, [point, alert] = publish(tmp_path / "points", [batch_of([record])])
    assert point.startswith(
        b"transaction_score,channel=unknown,lap=0,merchant_category=unknown,partition=3 anomaly_score=0.5,"
    )
    assert b"country" not in point
    assert b"merchant_id" not in point
    assert alert.startswith(
        b"alert,channel=unknown,country=unknown,lap=0,merchant_category=unknown,partition=3 transaction_id="
    )


def test_what_is_published_are_fields_of_a_score() -> None:
    assert set(PublishedScore.__struct_fields__) <= set(Score.__struct_fields__)


WHOLE = msgspec.json.encode(score(0))
FOREIGN = [
    b'{"transaction_id": 5}',
    b"[]",
    b"null",
    b"\xff",
    b"",
    b"[" * 100_000,
    WHOLE[:-1] + b',"more":' + b"[" * 100_000 + b"}",
    WHOLE.replace(b'"t0"', b'"\xff"'),
    WHOLE.replace(b'"t0"', b'"\\ud800"'),
    WHOLE.replace(b'"t0"', b'""'),
    WHOLE.replace(b'"offset":0', b'"offset":100000000000000000000'),
    WHOLE.replace(b'"offset":0', b'"offset":-1'),
    WHOLE.replace(b'"partition":0', b'"partition":2147483648'),
    WHOLE.replace(b'"kafka_time":1700000000000', b'"kafka_time":9223372036854775808'),
    WHOLE.replace(b'"model_version":1', b'"model_version":1000000000000000000'),
    WHOLE.replace(b"12.5", b"NaN"),
    WHOLE.replace(b"12.5", b"1e400"),
    WHOLE.replace(b"12.5", b"9" * 5_000),
]


@pytest.mark.parametrize("value", FOREIGN, ids=range(len(FOREIGN)))
def test_what_is_no_score_is_named_with_the_reason(tmp_path: Path, value: bytes) -> None:
    tally, lines = publish(tmp_path / "points", [batch_of([(value, False, 1, 2, 33, None, None)])])
    assert (tally.scored, tally.unreadable, lines) == (0, 1, [])
    assert tally.example is not None
    assert tally.example.startswith("at partition 2, offset 33: ")


@pytest.mark.parametrize("kafka_time", [-(2**63), -1, 0, 2**63 - 1])
def test_a_kafka_time_that_no_clock_shows_is_a_point_all_the_same(tmp_path: Path, kafka_time: int) -> None:
    value = msgspec.json.encode(score(1, kafka_time=kafka_time))
    tally, [line] = publish(tmp_path / "points", [batch_of([(value, False, kafka_time, 0, 0, None, None)])])
    assert 0 <= int(line.split()[-1]) < 2**63 - 1
    assert tally.scored == 1
    assert set(tally.latency) <= {0}
    assert tally.last_time is not None
    assert 0 <= tally.last_time * 1_000_000 < 2**63 - 1_000_000


def test_a_request_has_a_bounded_number_of_records_and_of_bytes() -> None:
    short = [record_of(number, "score") for number in range(25_000)]
    assert [piece.num_rows for piece in requests(batch_of(short))] == [10_000, 10_000, 5_000]
    long = [(msgspec.json.encode(score(n, merchant_id="x" * 60_000)), False, 1, 0, n, None, None) for n in range(1_000)]
    pieces = list(requests(batch_of(long)))
    assert sum(piece.num_rows for piece in pieces) == 1_000
    assert all(sum(map(len, piece["value"].to_pylist())) <= 16 << 20 for piece in pieces)
    assert len(pieces) == 4
    assert [piece.num_rows for piece in requests(batch_of([(b"x" * (17 << 20), False, 1, 0, 0, None, None)] * 2))] == [
        1,
        1,
    ]
    assert list(requests(batch_of([]))) == []


class Refusing(PointsFileSink):
    """Refuses a request that holds one of some transactions."""

    refused: tuple[bytes, ...] = ()

    def write(self, lines: bytes) -> None:
        if any(b'"%b"' % name in lines for name in self.refused):
            raise PointsRefused("the points are at fault")
        super().write(lines)


def test_points_that_the_sink_refuses_are_left_out_alone(tmp_path: Path) -> None:
    sink = Refusing(tmp_path / "points")
    sink.refused = b"t17", b"t18", b"t99"
    batch = batch_of([record_of(number, "score") for number in range(100)])
    [answer] = Publication(sink).publish(iter([batch]))
    tally = msgspec.msgpack.decode(answer["tally"][0].as_py(), type=Tally)
    assert (tally.scored, tally.unreadable) == (97, 3)
    assert tally.example == "at partition 0, offset 17: the points are at fault"
    lines = sink.path.read_bytes().splitlines()
    assert sum(line.startswith(b"transaction_score") for line in lines) == 97


def test_a_sink_that_refuses_everything_fails_the_query(tmp_path: Path) -> None:
    sink = Refusing(tmp_path / "points")
    sink.refused = tuple(b"t%d" % number for number in range(300))
    with pytest.raises(PointsRefused):
        list(Publication(sink).publish(iter([batch_of([record_of(number, "score") for number in range(300)])])))


def test_scores_with_an_unknown_currency_or_refused_extras_are_counted(tmp_path: Path) -> None:
    marked = [
        score(1, currency_unknown=True),
        score(2, refused_extras={"age": "out of range"}),
        score(4, currency_unknown=True, refused_extras={"age": "a text", "risk": "a text"}),
        score(5),
    ]
    records = [(msgspec.json.encode(one), False, 1_700_000_000_500, 0, n, None, None) for n, one in enumerate(marked)]
    tally, lines = publish(tmp_path / "points", [batch_of(records[:2]), batch_of(records[2:])])
    assert (tally.scored, tally.currency_unknown, tally.extras_refused) == (4, 2, 2)
    assert len(lines) == 4
    point = Throughput().point(tally, 0, None)
    assert b"currency_unknown=2i" in point
    assert b"extras_refused=2i" in point
