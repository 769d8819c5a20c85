"""Peer: PySpark as its documentation teaches it, with one state per customer and Spark's default settings."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[2]))  # Scoreline's stack knows where Java and the jars are

import pandas as pd
from common import Arguments, Model, point
from features import Customer
from pyspark import Broadcast
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.streaming import StatefulProcessor, StatefulProcessorHandle

from stack.jars import connector_jars
from stack.java import java

TRANSACTION = (
    "transaction_id string, event_time string, customer_id string, amount double, currency string, merchant_id string, "
    "merchant_category string, country string, latitude double, longitude double, channel string, device_id string"
)
PLACED = f"{TRANSACTION}, partition int, offset long, kafka_time long"
STATE = (
    "newest double, last_time double, place_time double, latitude double, longitude double, new_device double, "
    "new_device_time double, usual array<double>, by_country array<int>, devices array<double>, transactions array<long>, "
    "seen array<array<double>>, entries array<array<double>>"
)
ROCKSDB = "org.apache.spark.sql.execution.streaming.state.RocksDBStateStoreProvider"

MAX_OFFSETS_PER_TRIGGER = 200_000
"""As large as Scoreline's own: the fixed cost of a micro-batch, high with the default of 200 shuffle partitions, is
spread over more rows than a smaller limit would allow."""


class CustomerFeatures(StatefulProcessor):
    """Transactions of a customer → the same with their features, in the order of the log; duplicates are left out."""

    def init(self, handle: StatefulProcessorHandle) -> None:
        self._state = handle.getValueState("customer", STATE)

    def handleInputRows(self, key: Any, rows: Iterator[Row], timerValues: Any) -> Iterator[Row]:
        stored = self._state.get()
        customer = Customer() if stored is None else Customer.from_state(tuple(stored))
        for row in sorted(rows, key=lambda row: (row.partition, row.offset)):
            transaction = row.asDict()
            features = customer.add(transaction)
            if features is not None:
                yield Row(**transaction, features=features)
        self._state.update(customer.to_state())

    def close(self) -> None:
        pass


def main() -> None:
    arguments = Arguments.from_command_line(__doc__)
    spark = session()
    query = (
        transactions(spark, arguments)
        .groupBy("customer_id")
        .transformWithState(CustomerFeatures(), f"{PLACED}, features array<double>", "append", "none")
        .transform(judged(spark, Model.load(arguments.model)))
        .writeStream.foreachBatch(lambda batch, _: write(batch, arguments))
        .option("checkpointLocation", str(arguments.checkpoint))
        .start()
    )
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    while not stopping.is_set():
        query.awaitTermination(timeout=0.2)  # raises what the query failed with
    query.stop()
    spark.stop()


def session() -> SparkSession:
    """The defaults, but for the jars of Kafka's connector and RocksDB, without which transformWithState does not run."""
    os.environ["JAVA_HOME"] = str(Path(java()).resolve().parent.parent)
    os.environ["PYSPARK_PYTHON"] = sys.executable
    return (
        SparkSession.builder.master("local[*]")
        .appName("textbook")
        .config("spark.jars", ",".join(map(str, connector_jars())))
        .config("spark.driver.memory", "2g")
        .config("spark.executorEnv.PYTHONPATH", str(Path(__file__).parent))  # transformWithState misses addPyFile's
        .config("spark.sql.streaming.stateStore.providerClass", ROCKSDB)
        .getOrCreate()
    )


def transactions(spark: SparkSession, arguments: Arguments) -> DataFrame:
    """Kafka's records as `PLACED` says."""
    return (
        spark.readStream.format("kafka")
        .option("kafka.bootstrap.servers", arguments.bootstrap_servers)
        .option("subscribe", arguments.transactions)
        .option("startingOffsets", "earliest")
        .option("maxOffsetsPerTrigger", MAX_OFFSETS_PER_TRIGGER)
        .load()
        .withColumn("transaction", F.from_json(F.col("value").cast("string"), TRANSACTION))
        .select("transaction.*", "partition", "offset", F.unix_millis("timestamp").alias("kafka_time"))
        .where(F.col("customer_id").isNotNull())
    )


def judged(spark: SparkSession, model: Model):  # type: ignore[no-untyped-def]
    """Adds anomaly_score, threshold and is_anomaly, and gives the features their names."""
    anomaly_score = scorer(spark.sparkContext.broadcast(model))
    names = F.array(*map(F.lit, model.features))

    def transform(rows: DataFrame) -> DataFrame:
        return (
            rows.withColumn("anomaly_score", anomaly_score("features"))
            .withColumn("threshold", F.lit(model.threshold))
            .withColumn("is_anomaly", F.col("anomaly_score") > F.col("threshold"))
            .withColumn("features", F.map_from_arrays(names, "features"))
        )

    return transform


def scorer(model: "Broadcast[Model]") -> Any:
    """The pandas UDF: features, array<double> → anomaly score."""

    @F.pandas_udf("double")
    def anomaly_score(batches: Iterator[pd.Series]) -> Iterator[pd.Series]:
        for features in batches:
            yield pd.Series(model.value.anomaly_scores(features.tolist()))

    return anomaly_score


def write(batch: DataFrame, arguments: Arguments) -> None:
    """A micro-batch to Kafka, and then to InfluxDB; persisted, so that it is computed once."""
    batch.persist()
    topics = F.when(F.col("is_anomaly"), F.array(F.lit(arguments.scores), F.lit(arguments.alerts)))
    value = F.to_json(F.struct("*"), {"ignoreNullFields": "false"})
    (
        batch.select(
            F.col("customer_id").alias("key"),
            value.alias("value"),
            F.explode(F.coalesce(topics, F.array(F.lit(arguments.scores)))).alias("topic"),
        )
        .write.format("kafka")
        .option("kafka.bootstrap.servers", arguments.bootstrap_servers)
        .save()
    )

    def write_points(scores: Iterator[Row]) -> None:
        with arguments.influxdb() as influxdb, influxdb.write_api() as points:
            for score in scores:
                points.write(arguments.influxdb_bucket, record=point(score))

    # One client for each core, not for each of the 200 shuffle partitions: to close one takes a tenth of a second.
    batch.coalesce(batch.sparkSession.sparkContext.defaultParallelism).foreachPartition(write_points)
    batch.unpersist()


if __name__ == "__main__":
    main()
