"""The state partition that Spark finds for a message is that of the customer whom Python then reads in it."""

import json
import random

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from jobs.routing import balanced_keys, customer, state_key
from ml.parse import Invalid, parse

WORDS = ["C1", "C2", 'a"b', "back\\slash", "ü ñ", "customer_id", '"customer_id":"C1"', "", "{", "null", "\n"]


def message(rng: random.Random) -> tuple[bytes | None, bytes]:
    """(key, value): mostly a valid transaction, written in one of the ways that JSON allows, with traps among its fields."""
    who = rng.choice([word for word in WORDS if word])
    fields = {
        "transaction_id": "T",
        "event_time": "2026-03-02T08:00:00Z",
        "customer_id": who,
        "amount": 1,
        "note": rng.choice(WORDS),
        "inner": {"customer_id": rng.choice(WORDS)},
        "list": [{"customer_id": rng.choice(WORDS)}],
    }
    for name in ("note", "inner", "list"):
        if rng.random() < 0.5:
            del fields[name]
    names = list(fields)
    rng.shuffle(names)
    separators = rng.choice([(",", ":"), (", ", ": "), (" , ", " : ")])
    text = json.dumps({n: fields[n] for n in names}, ensure_ascii=rng.random() < 0.5, separators=separators)
    key = rng.choice([who.encode(), who.encode(), b"C1", None])
    return key, text.encode()


def test_messages_are_routed_by_the_customer_that_they_hold(spark: SparkSession) -> None:
    rng = random.Random(3)
    messages = [message(rng) for _ in range(2_000)]
    found = spark.createDataFrame(messages, "key binary, value binary").select(
        customer(F.col("key"), F.col("value")).alias("customer")
    )
    read = []
    for _, value in messages:
        try:
            read.append(parse(value).customer_id)
        except Invalid:
            read.append(None)
    assert sum(name is not None for name in read) > 1_900
    wrong = [
        (row.customer, name, sent)
        for row, name, sent in zip(found.collect(), read, messages, strict=True)
        if name is not None and row.customer != name
    ]
    assert not wrong


def test_state_keys_put_one_key_on_each_partition(spark: SparkSession) -> None:
    for partitions in (1, 2, 3, 4, 8):
        keys = spark.createDataFrame([(key,) for key in balanced_keys(partitions)], "key int")
        placed = keys.repartition(partitions, "key").select(F.spark_partition_id().alias("partition")).collect()
        assert sorted(row.partition for row in placed) == list(range(partitions))


def test_a_message_without_key_or_value_is_routed_somewhere(spark: SparkSession) -> None:
    rows = spark.createDataFrame([(None, None), (b"C1", None), (None, b"[1]")], "key binary, value binary")
    keys = rows.select(state_key(customer(F.col("key"), F.col("value")), 2).alias("state_key")).collect()
    assert all(row.state_key in balanced_keys(2) for row in keys)


def test_a_message_of_quotation_marks_alone_does_not_exhaust_the_stack(spark: SparkSession) -> None:
    rows = spark.createDataFrame([(b"C1", b'"' * 65_000)], "key binary, value binary")
    (found,) = rows.select(customer(F.col("key"), F.col("value")).alias("customer")).collect()
    assert found.customer == "C1"
