"""Each message that the parser reads is kept by one state partition, its customer's; each other one by just one, too."""

import json
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import Row

from detection.message_parsing import Invalid, parse
from jobs.source.routing import balanced_keys, home, keeps, routed, state_key

PARTITIONS = 3
LIMIT = 4_000

names = st.sampled_from(
    [
        "C1",
        "C2",
        "C3",
        "C 4",
        "é",
        "\U0001f600",
        'a"b',
        "a,b",
        "a{b}",
        "back\\slash",
        "customer_id",
        '"customer_id":"C1"',
    ]
) | st.text(min_size=1, max_size=8)
fragments = st.sampled_from(
    [
        '"n":' + 500 * "9",
        '"n":-1e999999999',
        '"' + 1_000 * "n" + '":1',
        '"n":"' + 1_000 * "x" + '"',
        '"n":' + 60 * "[" + 60 * "]",
        '"n":' + 900 * "[" + 900 * "]",
        '"inner":{"customer_id":"C2"}',
        '"inner":{"x":[{"customer_id" : "C3","amount":1}]}',
        '"customer_id":"C1"',
        '"customer\\u005fid":"C2"',
        '"\\u0063ustomer_id":"C2"',
        '"\\"customer_id":"C1"',
        '"\\\\":"\\"customer_id\\":\\"C1\\""',
        '"x":"customer_id"',
        '"customer_id\\\\":"C1"',
        '"CUSTOMER_ID":"C1"',
        '"caf\\u00e9":"\\u0041\\/"',
        '"n":"\\ud800"',
        '"n":null',
        '"amount":"x"',
        "",
    ]
)
spaces = st.sampled_from(["", "", " ", "\n", "\t \r\n", "\x0b", "\u00a0"])


@st.composite
def texts(draw: st.DrawFn) -> bytes:
    """Mostly a transaction, written in one of the ways that JSON allows, with traps before and after its fields."""
    who = json.dumps(draw(names), ensure_ascii=draw(st.booleans()))
    own = [f'"customer_id"{draw(spaces)}:{draw(spaces)}{who}'] if draw(st.integers(0, 9)) else []
    fields = ['"transaction_id":"T"', '"event_time":"2026-03-02T08:00:00Z"', '"amount":1', *own]
    whole = draw(st.permutations(fields + draw(st.lists(fragments, max_size=3))))
    value = ("{" + draw(st.sampled_from([",", ", ", ",\n"])).join(whole) + "}").encode("utf-8", "surrogatepass")
    if draw(st.integers(0, 5)) == 0:
        at = draw(st.integers(0, len(value)))
        value = value[:at] + draw(st.binary(max_size=3)) + value[at + draw(st.integers(0, 2)) :]
    return value


values = (
    texts() | texts() | texts() | st.binary(max_size=30) | st.none() | st.just(b'"' * LIMIT) | st.just(b"[" * LIMIT)
)
keys = st.none() | st.just(b"") | names.map(lambda name: name.encode("utf-8", "surrogatepass")) | st.binary(max_size=5)


@st.composite
def messages(draw: st.DrawFn) -> tuple[bytes | None, bytes | None]:
    """(key, value), half of them with the customer as the key."""
    value = draw(values)
    key = draw(keys)
    if draw(st.booleans()) and (whose := customer(value)) is not None:
        key = whose.encode()
    return key, value


def customer(value: bytes | None) -> str | None:
    """The customer_id that the parser reads."""
    try:
        return parse(value).customer_id
    except Invalid:
        return None


Route = Callable[[list[tuple[bytes | None, bytes | None]]], list[Row]]


@pytest.fixture(scope="module")
def route(spark: SparkSession) -> Route:
    def run(sent: list[tuple[bytes | None, bytes | None]]) -> list[Row]:
        rows = [(key, value, 0, offset, 0) for offset, (key, value) in enumerate(sent)]
        records = spark.createDataFrame(rows, "key binary, value binary, partition int, offset long, seconds long")
        records = records.withColumn("timestamp", F.timestamp_seconds("seconds"))
        return records.transform(routed(LIMIT, PARTITIONS)).collect()

    return run


def stays(row: Row) -> bool:
    """Whether the state partition that a row was sent to keeps it."""
    number = balanced_keys(PARTITIONS).index(row.state_key)
    return not row.everywhere or keeps(bytes(row.value), row.offset, number, PARTITIONS)


@settings(deadline=None, max_examples=20, suppress_health_check=list(HealthCheck))
@given(sent=st.lists(messages(), min_size=150, max_size=300))
def test_each_message_is_kept_once_and_a_transaction_where_its_customer_lives(
    route: Route, sent: list[tuple[bytes | None, bytes | None]]
) -> None:
    kept: dict[int, list[Row]] = {offset: [] for offset in range(len(sent))}
    for row in route(sent):
        if stays(row):
            kept[row.offset].append(row)
    for offset, (key, value) in enumerate(sent):
        assert len(kept[offset]) == 1, (key, value)
        whose = customer(value)
        (row,) = kept[offset]
        if len(key or b"") + len(value or b"") > LIMIT:
            assert (row.key, row.value) == (None, None)
        elif whose is not None:
            assert row.state_key == balanced_keys(PARTITIONS)[home(whose, PARTITIONS)], (key, value)
            assert row.value == value


GOOD = b'{"transaction_id":"T","event_time":"2026-03-02T08:00:00Z","customer_id":"C1","amount":1%s}'
FOUND_AT_ONCE: dict[str, tuple[bytes | None, bytes]] = {
    "the key": (b"C1", GOOD % b""),
    "no key": (None, GOOD % b""),
    "another key": (b"C2", GOOD % b""),
    "an empty key": (b"", GOOD % b""),
    "spaces": (b"C1", (GOOD % b"").replace(b'":', b'" : ')),
    "accents as escapes": (b"C1", GOOD % b',"merchant_id":"caf\\u00e9"'),
    "escaped slashes": (None, GOOD % b',"merchant_id":"a\\/b"'),
    "quotation marks": (b"C1", GOOD % b',"merchant_id":"\\"customer_id\\""'),
}


def test_ordinary_messages_are_sent_to_one_state_partition_alone(route: Route) -> None:
    rows = route(list(FOUND_AT_ONCE.values()))
    assert len(rows) == len(FOUND_AT_ONCE)
    assert not any(row.everywhere for row in rows)


def test_what_is_too_large_to_travel_or_has_no_value_is_sent_to_one_state_partition_alone(route: Route) -> None:
    rows = route([(b"C1", None), (None, None), (b"C1", b"x" * (LIMIT + 1)), (b"k" * (LIMIT + 1), GOOD % b"")])
    assert [(row.offset, row.value, row.everywhere) for row in rows] == [(n, None, False) for n in range(4)]


@settings(deadline=None, max_examples=5, suppress_health_check=list(HealthCheck))
@given(texts=st.lists(st.text(max_size=70).filter(lambda text: text.isprintable()), min_size=100, max_size=200))
def test_python_finds_the_home_that_spark_finds(spark: SparkSession, texts: list[str]) -> None:
    frame: Any = pd.DataFrame({"name": texts})
    for partitions in (1, 2, 5):
        found = spark.createDataFrame(frame).select(state_key(F.col("name"), partitions).alias("key")).collect()
        assert [row.key for row in found] == [balanced_keys(partitions)[home(text, partitions)] for text in texts]


def test_state_keys_put_one_key_on_each_partition(spark: SparkSession) -> None:
    for partitions in (1, 2, 3, 4, 8):
        keys = spark.createDataFrame([(key,) for key in balanced_keys(partitions)], "key int")
        placed = keys.repartition(partitions, "key").select(F.spark_partition_id().alias("partition")).collect()
        assert sorted(row.partition for row in placed) == list(range(partitions))
