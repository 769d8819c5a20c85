"""Judging: an anomaly score for each folded transaction, by a pandas UDF, and the records that go to Kafka."""

from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
import pandas as pd
from pyspark import Broadcast
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from ml.features import FEATURES
from ml.model import Model
from settings import Settings


class Judgement:
    """Folded messages → Kafka records, by one model: its score, its threshold, its name.

    The expressions are built once for a model, not for each micro-batch: each costs a call to the JVM.
    """

    def __init__(self, spark: SparkSession, model: Model, settings: Settings) -> None:
        self._model = model
        valid = F.col("problem").isNull()
        scores, alerts, invalid = (
            F.lit(topic) for topic in (settings.scores_topic, settings.alerts_topic, settings.invalid_topic)
        )
        alert = F.col("judged.is_anomaly")
        topics = F.when(~valid, F.array(invalid)).when(alert, F.array(alerts, scores)).otherwise(F.array(scores))
        problem = F.from_json("problem", "reason string, partition string, offset string, kafka_time string")
        headers = F.when(~valid, dead_letter_headers(settings, problem))
        self._valid = valid
        self._judged = judge(spark.sparkContext.broadcast(model))("features")
        self._json = _score_json()
        self._others = F.explode(topics).alias("topic"), headers.alias("headers")

    def records(self, folded: DataFrame, micro_batch: int) -> DataFrame:
        """Kafka records (key, value, topic, headers): scores, alerts, dead letters. An anomaly is a score and an alert."""
        model = self._model
        used = {"threshold": model.threshold, "model_name": model.name, "model_version": model.version}
        end = "," + msgspec.json.encode(used | {"micro_batch": micro_batch}).decode()[1:]
        value = F.when(self._valid, F.concat(self._json, F.lit(end).cast("binary"))).otherwise(F.col("value"))
        return folded.withColumn("judged", self._judged).select("key", value.alias("value"), *self._others)


def judge(model: "Broadcast[Model]") -> Any:
    """The pandas UDF that scores: features, as the bytes of their float64 → struct(anomaly_score, is_anomaly, reasons).

    reasons is a JSON array, of an anomaly; otherwise null.
    """

    @F.pandas_udf("anomaly_score double, is_anomaly boolean, reasons string")  # type: ignore[call-overload, misc]
    def judged(batches: Iterator[pd.Series]) -> Iterator[pd.DataFrame]:
        for batch in batches:
            features = np.frombuffer(b"".join(batch)).reshape(-1, len(FEATURES))
            scores = model.value.anomaly_score(features)
            anomalies = model.value.is_anomaly(scores)
            reasons = np.full(len(scores), None, object)
            reasons[anomalies] = [msgspec.json.encode(r).decode() for r in model.value.reasons(features[anomalies])]
            yield pd.DataFrame({"anomaly_score": scores, "is_anomaly": anomalies, "reasons": reasons})

    return judged


def _score_json() -> Column:
    """A score's JSON but for its end, which says what it was judged by."""

    def text(value: str) -> Column:
        return F.lit(value).cast("binary")

    def number(value: Column) -> Column:
        return value.cast("string").cast("binary")

    return F.concat(
        F.col("value"),
        text(',"anomaly_score":'),
        number(F.col("judged.anomaly_score")),
        text(',"is_anomaly":'),
        number(F.col("judged.is_anomaly")),
        text(',"reasons":'),
        F.coalesce("judged.reasons", F.lit("[]")).cast("binary"),
        text(',"scored_at":'),
        number(F.unix_millis(F.current_timestamp())),
    )


def dead_letter_headers(settings: Settings, problem: Column) -> Column:
    """Kafka headers that say where a dead letter came from and why it is one; each value is text.

    problem: a struct of reason, partition, offset and kafka_time.
    """

    def header(name: str, text: Column) -> Column:
        return F.struct(F.lit(name).alias("key"), text.cast("string").cast("binary").alias("value"))

    return F.array(
        header("reason", problem["reason"]),
        header("topic", F.lit(settings.transactions_topic)),
        header("partition", problem["partition"]),
        header("offset", problem["offset"]),
        header("kafka_time", problem["kafka_time"]),
    )


def too_large_reason(size: Column, limit: int) -> Column:
    """Why a message of `size` bytes is a dead letter."""
    return F.format_string(
        f"the message has %,d bytes; a transaction has at most {limit:,} (max_transaction_bytes)", size
    )
