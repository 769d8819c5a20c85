"""Judging: an anomaly score for each folded transaction, by a pandas UDF, and the records that go to Kafka."""

from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
import pandas as pd
from pyspark import Broadcast
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from ml.features import FEATURES
from ml.model import Model
from settings import Settings


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


def to_records(model: Model, judged: Any, micro_batch: int, settings: Settings):  # type: ignore[no-untyped-def]
    """Folded messages → Kafka records (key, value, topic, headers): scores, alerts and dead letters.

    An anomaly is two records, one on `scores` and one on `alerts`.
    """
    valid = F.col("problem").isNull()
    scores, alerts, invalid = (
        F.lit(topic) for topic in (settings.scores_topic, settings.alerts_topic, settings.invalid_topic)
    )
    topics = F.when(~valid, F.array(invalid)).when(F.col("judged.is_anomaly"), F.array(alerts, scores))
    value = F.when(valid, _score_json(model, micro_batch)).otherwise(F.col("value"))
    problem = F.from_json("problem", "reason string, partition string, offset string, kafka_time string")
    headers = F.when(~valid, dead_letter_headers(settings, problem))

    def transform(folded: DataFrame) -> DataFrame:
        return folded.withColumn("judged", judged("features")).select(
            "key",
            value.alias("value"),
            F.explode(topics.otherwise(F.array(scores))).alias("topic"),
            headers.alias("headers"),
        )

    return transform


def _score_json(model: Model, micro_batch: int) -> Column:
    tail = {
        "threshold": model.threshold,
        "model_name": model.name,
        "model_version": model.version,
        "micro_batch": micro_batch,
    }
    return F.concat(
        F.col("value"),
        F.lit(',"anomaly_score":').cast("binary"),
        F.col("judged.anomaly_score").cast("string").cast("binary"),
        F.lit(',"is_anomaly":').cast("binary"),
        F.col("judged.is_anomaly").cast("string").cast("binary"),
        F.lit(',"reasons":').cast("binary"),
        F.coalesce("judged.reasons", F.lit("[]")).cast("binary"),
        F.lit(',"scored_at":').cast("binary"),
        F.unix_millis(F.current_timestamp()).cast("string").cast("binary"),
        F.lit("," + msgspec.json.encode(tail).decode()[1:]).cast("binary"),
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
