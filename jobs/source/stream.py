"""Topics as Spark's Kafka source gives them."""

from typing import Final

from pyspark.sql import DataFrame, SparkSession

from messaging.config import KafkaConfig
from settings import Settings

MOST_A_POLL: Final = 1_000


def stream(
    spark: SparkSession,
    settings: Settings,
    *topics: str,
    most: int,
    a_poll: int = MOST_A_POLL,
    accept_loss: bool,
    since: str = "earliest",
    headers: bool = False,
) -> DataFrame:
    """The records of some topics: at most so many in a micro-batch, on a first start `since` then.

    a_poll: records that a task asks Kafka for at a time, all of which it has in memory, unpacked.
    accept_loss: go on where Kafka no longer has records that were not read yet; else the query fails.
    """
    return (
        spark.readStream.format("kafka")
        .options(**KafkaConfig.from_settings(settings).for_spark())
        .option("subscribe", ",".join(topics))
        .option("includeHeaders", headers)
        .option("startingOffsets", since)
        .option("maxOffsetsPerTrigger", most)
        # With Kafka's 500 records a poll and 1 MiB a partition detect alone works off 41,000 txn/s instead of 43,100.
        .option("kafka.max.poll.records", a_poll)
        .option("kafka.max.partition.fetch.bytes", 4 << 20)
        .option("failOnDataLoss", not accept_loss)
        .load()
    )
