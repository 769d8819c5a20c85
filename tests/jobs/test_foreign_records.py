"""Anybody may write to a topic: what is made of valid scores by chance and by malice never stops a reader."""

import json
import random
import time
from contextlib import suppress
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from confluent_kafka import Producer
from hypothesis import HealthCheck, given
from hypothesis import settings as configured
from hypothesis import strategies as st

from demo.records import decode_place, decode_score, place_of_dead_letter
from demo.tally import Tally as Watched
from jobs.point_places import placed
from jobs.publish_points import Publication
from jobs.published_score import PublishedScore
from jobs.score_counts import ScoreCounts, added_up
from jobs.throughput import Arrived, Tally, Throughput
from messaging.config import KafkaConfig
from ml.evaluation.scored import Scored
from ml.features import HOUR
from ml.schema import Label, Reader, Unreadable
from ml.thresholds.grid import Grid
from ml.thresholds.table import Table
from settings import Settings
from sinks.influxdb import InfluxDBSink
from stack.local import Stack
from tests.jobs.test_publish_points import COLUMNS, score
from tests.sinks.database import Database
from versions.thresholds import TableReader, newest_table, publish_table

NUMBERS = st.sampled_from(
    [0, -1, 2**15, 2**31, 2**47, 2**48, 2**63 - 1, 2**63, -(2**63), 10**20, 10**400, 1e308, -1e308]
)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=20) | st.sampled_from(
    ["", "\n", "a\nb=1i 5\nc", "\\", 'x"', "#", ",", "x" * 70_000, "\x00", "💳" * 300, "\\\n", " ", "transaction_score"]
)
ODD: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)
FIELDS = list(msgspec.to_builtins(score(0)))


@st.composite
def foreign(draw: st.DrawFn) -> bytes | None:
    """A valid score with some of it changed: its fields, or its bytes."""
    fields = dict(msgspec.to_builtins(score(draw(st.integers(0, 30)))))
    for name in draw(st.lists(st.sampled_from(FIELDS), max_size=3)):
        fields[name] = draw(ODD)
    if draw(st.booleans()) and fields.get("reasons"):
        fields["reasons"] = [
            {"feature": draw(TEXTS), "value": draw(NUMBERS), "usual_low": draw(NUMBERS), "usual_high": 1.0}
        ]
    value = bytearray(_json(fields).encode("utf-8", "surrogatepass"))
    for place, byte in draw(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=2)):
        value[int(place * (len(value) - 1))] = byte
    if draw(st.integers(0, 20)) == 0:
        return draw(st.sampled_from([None, b"", b"[" * 100_000, b"null", b'{"reasons":' + b"[" * 100_000, b"\xff\xfe"]))
    return bytes(value)


def _json(value: Any) -> str:
    """JSON of any numbers, also of those that msgspec refuses to write."""
    return json.dumps(value, ensure_ascii=False)


def batch_of(values: list[bytes | None]) -> pa.RecordBatch:
    rows = [(value, False, 1_700_000_000_000 + row, 0, row, None, None) for row, value in enumerate(values)]
    columns = [pa.array(column, field.type) for column, field in zip(zip(*rows, strict=True), COLUMNS, strict=True)]
    return pa.record_batch(columns, schema=COLUMNS)


WHOLE = msgspec.json.encode(score(3, transaction_id="whole", offset=77, partition=5, kafka_time=1_700_000_000_123))


@configured(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(values=st.lists(foreign(), min_size=1, max_size=15))
def test_whatever_stands_beside_it_a_score_is_a_point_and_the_real_influxdb_takes_all(
    stack: Stack, values: list[bytes | None]
) -> None:
    database = stack.influxdb.create_database("foreign").split("/")[0]
    sink = InfluxDBSink(stack.influxdb.url, f"{database}/autogen", "scoreline")
    try:
        [answer] = Publication(sink).publish(iter([batch_of([*values, WHOLE])]))
        tally = msgspec.msgpack.decode(answer["tally"][0].as_py(), type=Tally)
        rows = Database(stack.influxdb, database).query("SELECT transaction_id FROM transaction_score")
    finally:
        stack.influxdb.drop_database(database)
    assert tally.scored + tally.unreadable == len(values) + 1
    assert "whole" in {row["transaction_id"] for row in rows}
    read = Reader(PublishedScore).read_all([*values, WHOLE]).records
    columns = {name: pa.array([getattr(one, name) for one in read]) for name in ("offset", "kafka_time")}
    found = placed(columns)
    places = zip([one.partition for one in read], found["lap"].to_pylist(), found["time_ns"].to_pylist(), strict=True)
    assert len(set(places)) <= len(rows) <= tally.scored
    assert tally.unreadable == len(values) + 1 - len(read)
    point = Throughput(lambda spans: {}).point(tally, 2**40, Arrived({0: 5, 5: 78}, {0: 5, 5: 78}))
    assert point.startswith(b"throughput ")


@configured(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(values=st.lists(foreign(), min_size=1, max_size=15))
def test_every_other_reader_of_scores_leaves_out_what_it_cannot_read(values: list[bytes | None]) -> None:
    batch = pa.RecordBatch.from_pydict(
        {"value": pa.array(values, pa.binary()), "time": pa.array([1_700_000_000_000] * len(values), pa.int64())}
    )
    for grids in ({}, {1: Grid(0.1, 0.5, 0.9)}):
        added_up(pa.Table.from_batches([_NOTHING, *ScoreCounts(grids).count(iter([batch]))]))
    watched = Watched()
    for value in values:
        for read in (Reader(Scored).read, Reader(Label).read, decode_place):
            with suppress(Unreadable):
                read(value)
        with suppress(Unreadable):
            watched.score(decode_score(value), 1_700_000_000_000)


_NOTHING = next(ScoreCounts({}).count(iter([pa.RecordBatch.from_pydict({"value": [WHOLE], "time": [2**62]})]))).slice(
    0, 0
)


@pytest.mark.parametrize(
    "headers",
    [
        None,
        [],
        {"partition": b"0"},
        [("partition", None), ("offset", b"1")],
        [("partition", b"\xff"), ("offset", b"1")],
        [("partition", b"0"), ("offset", b"100000000000000000000")],
        [("partition", b"0"), ("offset", b"9" * 5_000)],
        [("partition", b"-1"), ("offset", b"1")],
    ],
)
def test_a_dead_letter_with_odd_headers_is_of_no_transaction(headers: Any) -> None:
    with pytest.raises(Unreadable, match="not a dead letter of ours"):
        place_of_dead_letter(headers)


def test_an_invented_offset_takes_little_memory() -> None:
    watched = Watched()
    for number in range(100):
        watched.dead_letter(3, random.Random(number).randrange(2**48))
    assert len(watched.invalid) == 100


TABLE = Table(7, 1, 0, 1_000, 0, 0.6, {"chip × travel": 0.55})


def put(settings: Settings, value: bytes | None, key: bytes | None = b"scoreline", **more: Any) -> None:
    producer = Producer({"bootstrap.servers": settings.kafka_bootstrap_servers})
    producer.produce(settings.thresholds_topic, value, key, partition=0, **more)
    assert producer.flush(30) == 0


def changed(**fields: Any) -> bytes:
    return _json(msgspec.to_builtins(TABLE) | fields).encode()


def test_a_table_of_others_is_neither_taken_up_nor_in_the_way(
    topics: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    options, topic = KafkaConfig.from_settings(topics), topics.thresholds_topic
    later = int(time.time() * 1000) + 30 * 24 * HOUR
    for value in (
        None,
        b"\xff",
        b"[" * 100_000,
        changed(version=10**18),
        changed(version=2**31 - 1),
        changed(version=0),
        changed(version=-3),
        changed(default=float("nan")),
        changed(default=1.5),
        changed(thresholds={"chip × travel": -0.1}),
        changed(thresholds={"chip × travel": "x"}),
        changed(until=later),
        changed(since=2_000),
        changed(model_version=10**18),
        changed(alarm=3),
    ):
        put(topics, value)
    put(topics, changed(version=500), key=b"another model")
    put(topics, changed(version=501), key=None)
    put(topics, b"{}", headers=[("é", b"\xff"), ("none", None)])
    assert newest_table(topic, options, "scoreline") is None
    reader = TableReader(topic, options, "scoreline")
    assert reader.read_all() == []
    assert "left out 1 of" in caplog.text
    for version in (7, 9, 8):
        publish_table(
            topic, KafkaConfig.from_settings(topics), "scoreline", msgspec.structs.replace(TABLE, version=version)
        )
    found: list[Table] = []
    while len(found) < 3:
        found += reader.read(1.0)
    assert [table.version for table in found] == [7, 9, 8]
    newest = newest_table(topic, options, "scoreline")
    assert newest is not None
    assert newest.version == 9
    reader.close()


def test_np_is_not_overflowed_by_the_largest_place() -> None:
    value = msgspec.json.encode(score(1, partition=2**15 - 1, offset=2**48 - 1))
    assert decode_score(value).offset == np.int64(2**48 - 1)
