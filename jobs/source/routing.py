"""Which state partition a message goes to: that of its customer, found by Spark where that is certain, else by the parser.

One rule, `home`, says where a customer lives, from the customer_id that `detection.message_parsing` reads in the message;
the key does not matter. Spark reads the customer_id only where no parser could read another one there. What it is not
certain of goes to all state partitions, and in each of them `keeps` says whether it stays: just one keeps it.
"""

from collections.abc import Callable
from typing import Final

import mmh3
import xxhash
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from detection.message_parsing import Invalid, parse

_SEED: Final = 42
"""Of Spark's hashes, Murmur3 and xxhash64."""

_NAME: Final = '"customer_id"'
_ESCAPED_NAME: Final = r"\\u00[567]"
"""The escapes of small letters and the underscore, which the name could be written with."""
_WHOSE: Final = r'"customer_id"[ \t\r\n]*:[ \t\r\n]*"([^"\\]+)"'


def routed(max_transaction_bytes: int, state_partitions: int) -> Callable[[DataFrame], DataFrame]:
    """Kafka records → what the fold takes: state_key, partition, offset, kafka_time (ms), key, value, size (bytes of
    key and value), everywhere (whether the message went to all state partitions). What is larger than a transaction may be
    travels without key and value.
    """
    keys = F.array(*[F.lit(key) for key in balanced_keys(state_partitions)])
    any_one = F.array(F.get(keys, F.pmod(F.col("offset"), F.lit(state_partitions)).cast("int")))

    def transform(records: DataFrame) -> DataFrame:
        size = F.coalesce(F.octet_length("key"), F.lit(0)) + F.coalesce(F.octet_length("value"), F.lit(0))
        fits = size <= max_transaction_bytes
        # Each step by itself: what one expression uses twice Spark may find twice.
        found = records.select(
            "partition",
            "offset",
            F.unix_millis("timestamp").alias("kafka_time"),
            F.when(fits, F.col("key")).alias("key"),
            F.when(fits, F.col("value")).alias("value"),
            size.alias("size"),
            F.when(fits, certain_customer(F.col("key"), F.col("value"))).alias("whose"),
        )
        lives = F.when(F.col("whose").isNotNull(), F.array(state_key(F.col("whose"), state_partitions)))
        # What has no text to be read is no transaction, wherever it goes.
        goes_to = lives.when(F.col("value").isNotNull(), keys).otherwise(any_one)
        everywhere = (F.col("value").isNotNull() & F.col("whose").isNull()).alias("everywhere")
        columns = ("partition", "offset", "kafka_time", "key", "value", "size")
        return found.select(F.explode(goes_to).alias("state_key"), *columns, everywhere)

    return transform


def state_key(customer_id: Column, state_partitions: int) -> Column:
    """The grouping key of the state partition that a customer lives on."""
    keys = F.array(*[F.lit(key) for key in balanced_keys(state_partitions)])
    return F.get(keys, F.pmod(F.xxhash64(customer_id), F.lit(state_partitions)).cast("int"))


def certain_customer(key: Column, value: Column) -> Column:
    """The customer_id that the parser finds in a message, if it finds one at all; null where that is not certain.

    A JSON object that has a customer_id names it, and where no escape could write the name in another way, it stands there
    in plain letters and quotation marks. If these stand in the text only once, that is the place; what follows is the
    customer_id, up to the next quotation mark, if there is no backslash before that. Most messages name in their value the
    customer of their key, and then it is enough to look for that.
    """
    text, name = value.cast("string"), key.cast("string")
    of_key = F.contains(text, F.concat(F.lit(f'{_NAME}:"'), name, F.lit('"'))) & ~F.contains(name, F.lit('"'))
    plain = ~F.contains(text, F.lit("\\"))
    # Java searches a plain text faster than Spark's instr and locate, which compare at each byte.
    once = F.regexp_count(text, F.lit(_NAME)) == 1
    read = F.regexp_extract(text, _WHOSE, 1)
    return F.when(of_key & plain & once, name).when(once & ~text.rlike(_ESCAPED_NAME) & (read != ""), read)


def home(customer_id: str, state_partitions: int) -> int:
    """The state partition that a customer lives on, as Spark's xxhash64 and pmod would have it.

    >>> home("C00001", 4), home("C00001", 1)
    (3, 0)
    """
    number = xxhash.xxh64_intdigest(customer_id.encode(), _SEED)
    return (number - (1 << 64) if number >> 63 else number) % state_partitions


def keeps(value: bytes, offset: int, state_partition: int, state_partitions: int) -> bool:
    """Whether a state partition keeps a message that all of them were sent; just one does.

    A transaction stays where its customer lives; another message stays where its offset says.
    """
    try:
        stays_in = home(parse(value).customer_id, state_partitions)
    except Invalid:
        stays_in = offset % state_partitions
    except (MemoryError, OSError):
        raise
    except Exception:  # noqa: BLE001  # reported where the message is taken in, which is where it stays
        stays_in = offset % state_partitions
    return stays_in == state_partition


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
    """Spark's Murmur3Hash of an int: of its four bytes, least first, with Spark's seed."""
    return mmh3.hash(value.to_bytes(4, "little"), _SEED)
