"""Judging: an anomaly score for each folded transaction, by a pandas UDF, and the records that go to Kafka."""

import time
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple, Self

import msgspec
import numpy as np
import pandas as pd
from pyspark import Broadcast
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from jobs.customer_fold import JUDGED_BY
from jobs.ledger import Versions
from ml.model import Model
from ml.schema import Reason
from ml.thresholds.table import Lookup, Table
from settings import Settings


class Judge(NamedTuple):
    """What judges some records: a version of the model, and the thresholds of a table or the model's own."""

    versions: Versions
    model: "Broadcast[Model]"
    lookup: Lookup

    @classmethod
    def of(cls, versions: Versions, model: "Broadcast[Model]", table: Table | None) -> Self:
        """The judge with a table of thresholds; without, with the model's own."""
        default, thresholds = (model.value.threshold, {}) if table is None else (table.default, table.thresholds)
        return cls(versions, model, Lookup.of(default, thresholds))


class Judgement:
    """Folded messages → Kafka records. judges: who judges from a position in the log on, in the order of positions.

    The expressions are built once for the same judges, not for each micro-batch: each costs a call to the JVM.
    """

    def __init__(self, judges: Sequence[tuple[int, Judge]], model_name: str, settings: Settings) -> None:
        self._model_name = model_name
        valid = F.col("problem").isNull()
        scores, alerts, invalid = (
            F.lit(topic) for topic in (settings.scores_topic, settings.alerts_topic, settings.invalid_topic)
        )
        alert = F.col("judged.is_anomaly")
        topics = F.when(~valid, F.array(invalid)).when(alert, F.array(alerts, scores)).otherwise(F.array(scores))
        problem = F.from_json("problem", "reason string, partition string, offset string, kafka_time string")
        headers = F.when(~valid, dead_letter_headers(settings, problem))
        self._valid = valid
        self._judged = judge(judges)("judged_by")
        self._others = F.explode(topics).alias("topic"), headers.alias("headers")

    def records(self, folded: DataFrame, micro_batch: int) -> DataFrame:
        """Kafka records (key, value, topic, headers): scores, alerts, dead letters. An anomaly is a score and an alert."""
        end = {
            "model_name": self._model_name,
            "micro_batch": micro_batch,
            "scored_at": time.time_ns() // 1_000_000,
        }
        # One after the other, three parts make a JSON object: the first brings its opening brace, the last its closing one.
        closing = F.lit(b"," + msgspec.json.encode(end)[1:])
        value = F.when(self._valid, F.concat("value", "judged.json", closing)).otherwise(F.col("value"))
        return folded.withColumn("judged", self._judged).select("key", value.alias("value"), *self._others)


class Judged(msgspec.Struct, gc=False):
    """The part of a score's JSON that is judgement."""

    anomaly_score: float
    is_anomaly: bool
    threshold: float
    model_version: int
    threshold_version: int
    reasons: list[Reason]


def judge(judges: Sequence[tuple[int, Judge]]) -> Any:
    """The pandas UDF that judges: `JUDGED_BY` as bytes → struct(json: the fields of `Judged`, is_anomaly)."""
    starts = np.array([start for start, _ in judges], np.int64)

    @F.pandas_udf("json binary, is_anomaly boolean")  # type: ignore[call-overload, misc]
    def judged(batches: Iterator[pd.Series]) -> Iterator[pd.DataFrame]:
        for batch in batches:
            rows = np.frombuffer(b"".join(batch), JUDGED_BY)
            # What is no transaction has position 0 and is judged by somebody, to no effect.
            places = np.maximum(np.searchsorted(starts, rows["position"], "right") - 1, 0)
            results = np.empty(len(rows), object)
            for place in np.unique(places):
                mine = places == place
                results[mine] = _judged(rows[mine], judges[place][1])
            yield pd.DataFrame({"json": _parts(results), "is_anomaly": [result.is_anomaly for result in results]})

    return judged


def _judged(rows: np.ndarray, judge: Judge) -> list[Judged]:
    """Rows (n,) JUDGED_BY, by one judge. Above the threshold of its segment a score is an anomaly, at it normal."""
    model, versions = judge.model.value, judge.versions
    features = np.ascontiguousarray(rows["features"])
    scores = model.anomaly_score(features)
    thresholds = judge.lookup.of_segments(rows["segment"])
    anomalies = scores > thresholds
    reasons = iter(model.reasons(features[anomalies]))
    return [
        Judged(score, anomaly, threshold, versions.model, versions.thresholds, next(reasons) if anomaly else [])
        for score, anomaly, threshold in zip(scores.tolist(), anomalies.tolist(), thresholds.tolist(), strict=True)
    ]


def _parts(results: np.ndarray) -> list[bytes]:
    """The JSON of each of (n,) `Judged`, with a comma for its opening brace and none for its closing one."""
    return [b"," + line[1:-1] for line in _lines(results.tolist()).split(b"\n")[:-1]]


_lines: Final = msgspec.json.Encoder().encode_lines


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
