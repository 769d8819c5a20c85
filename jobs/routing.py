"""Which state partition a message goes to, found by Spark itself, so that Python need not see a message twice."""

from typing import Final

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

_MASK: Final = 0xFFFFFFFF


def routed(max_transaction_bytes: int, state_partitions: int):  # type: ignore[no-untyped-def]
    """Kafka records → what the fold takes: state_key, partition, offset, kafka_time (ms), key, value, size (bytes of
    key and value). What is larger than a transaction may be travels without key and value.
    """

    def transform(records: DataFrame) -> DataFrame:
        size = F.coalesce(F.octet_length("key"), F.lit(0)) + F.coalesce(F.octet_length("value"), F.lit(0))
        fits = size <= max_transaction_bytes
        return records.select(
            state_key(customer(F.col("key"), F.col("value")), state_partitions).alias("state_key"),
            "partition",
            "offset",
            F.unix_millis("timestamp").alias("kafka_time"),
            F.when(fits, F.col("key")).alias("key"),
            F.when(fits, F.col("value")).alias("value"),
            size.alias("size"),
        )

    return transform


def state_key(customer_id: Column, state_partitions: int) -> Column:
    """The grouping key of the state partition that a customer lives on."""
    keys = F.array(*[F.lit(key) for key in balanced_keys(state_partitions)])
    return F.get(keys, F.pmod(F.xxhash64(customer_id), F.lit(state_partitions)).cast("int"))


def customer(key: Column, value: Column) -> Column:
    """The customer_id that a valid message holds, as a string; for other messages, the key or null.

    Most messages name in their value the customer of their key. Where `customer_id` stands just once in the text, with
    the key as its value and no escapes about, no JSON parser is needed to know so.
    """
    text, name = value.cast("string"), key.cast("string")
    obvious = (
        F.contains(text, F.concat(F.lit('"customer_id":"'), name, F.lit('"')))
        & ~F.contains(text, F.lit("\\"))
        # Java finds a plain text by leaps, where Spark's instr and locate compare at each byte.
        & (F.regexp_count(text, F.lit('"customer_id"')) == 1)
    )
    return F.when(obvious, name).otherwise(F.coalesce(F.get_json_object(text, "$.customer_id"), name))


def balanced_keys(partitions: int) -> list[int]:
    """`partitions` integers of which Spark's hash partitioning puts one on each partition.

    >>> balanced_keys(2)
    [2, 0]
    """
    found: dict[int, int] = {}
    candidate = 0
    while len(found) < partitions:
        found.setdefault(_spark_hash(candidate) % partitions, candidate)
        candidate += 1
    return [found[partition] for partition in range(partitions)]


def _spark_hash(value: int) -> int:
    """Spark's Murmur3Hash of an int (Appleby's MurmurHash3 x86_32, seed 42), signed."""
    k = _rotated((value * 0xCC9E2D51) & _MASK, 15) * 0x1B873593 & _MASK
    h = (_rotated(42 ^ k, 13) * 5 + 0xE6546B64) & _MASK
    h ^= 4
    h = (h ^ (h >> 16)) * 0x85EBCA6B & _MASK
    h = (h ^ (h >> 13)) * 0xC2B2AE35 & _MASK
    h ^= h >> 16
    return h - (1 << 32) if h >> 31 else h


def _rotated(x: int, bits: int) -> int:
    return ((x << bits) | (x >> (32 - bits))) & _MASK
