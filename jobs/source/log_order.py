"""The order of the Kafka log within a state partition, which Spark restores by its own sort, on disk where memory is short."""

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming import DataStreamWriter, StreamingQuery

from ml.features import NO_POSITION, position

_CHECK = "spark.sql.streaming.unsupportedOperationCheck"


def by_state_partition(state_partitions: int) -> Callable[[DataFrame], DataFrame]:
    """Routed messages, brought together by `state_key`, each state partition's in the order of (partition, offset).

    The operator that follows needs them together and sorted by its key. This is a sort by more than that, which Spark finds
    enough: it adds no shuffle and no sort of its own.
    """

    def transform(messages: DataFrame) -> DataFrame:
        return messages.repartition(state_partitions, "state_key").sortWithinPartitions(
            "state_key", "partition", "offset"
        )

    return transform


def start_sorted(spark: SparkSession, writer: DataStreamWriter) -> StreamingQuery:
    """Start a query that sorts its micro-batches.

    Spark refuses every sort in a stream, because the whole of a stream has no end. Within a micro-batch it is well defined.
    """
    checked = spark.conf.get(_CHECK)
    spark.conf.set(_CHECK, "false")
    try:
        return writer.start()
    finally:
        spark.conf.set(_CHECK, checked or "true")


def in_log_order(pieces: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    """The pieces as they come; raises AssertionError where they are not in the order of (partition, offset)."""
    last = NO_POSITION
    for piece in pieces:
        places = position(piece["partition"].to_numpy(np.int64), piece["offset"].to_numpy(np.int64))
        if not (last < places[0] and (places[1:] > places[:-1]).all()):
            raise AssertionError("messages came out of the order of the log: Spark did not sort them as required")
        last = places[-1]
        yield piece
