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

from detection.engine import JUDGED_BY
from detection.halves import in_halves, in_words
from detection.ledger import Versions
from jobs.dead_letters import SetAside, SetAsides
from jobs.failures import Failures
from jobs.source.topic_limits import TopicLimits, room
from jobs.tasks import Tasks
from ml.features import FOLD_VERSION, NO_POSITION, place
from ml.model import Model
from ml.schema import DIGEST_DIGITS, Reason
from ml.thresholds.table import Lookup, Table
from settings import Settings

CLOSING_BYTES: Final = 256
"""More than a score has after its judgement."""


class Judge(NamedTuple):
    """What judges some records: a version of the model, and the thresholds of a table or the model's own."""

    versions: Versions
    model: "Broadcast[Model]"
    lookup: Lookup

    @classmethod
    def of(cls, versions: Versions, model: "Broadcast[Model]", table: Table | None) -> Self:
        """The judge with a table of thresholds; without, with the model's own."""
        default, thresholds = (model.value.threshold, {}) if table is None else (table.default, table.thresholds)
        return cls(versions, model, Lookup.from_thresholds(default, thresholds))


class Judgement:
    """Folded messages → Kafka records. judges: who judges from a position in the log on, in the order of positions.

    tasks: told of a message that can't be judged. It gives no record here, for its own bytes are gone by then.
    The expressions are built once for the same judges, not for each micro-batch: each costs a call to the JVM.
    """

    def __init__(self, judges: Sequence[tuple[int, Judge]], settings: Settings, tasks: Tasks) -> None:
        valid = F.col("problem").isNull()
        scores, alerts, invalid = (
            F.lit(topic) for topic in (settings.scores_topic, settings.alerts_topic, settings.invalid_topic)
        )
        alert, judged = F.col("judged.is_anomaly"), F.col("judged.json").isNotNull()
        topics = F.when(~valid, F.array(invalid)).when(alert, F.array(alerts, scores)).when(judged, F.array(scores))
        problem = F.from_json(
            "problem", "reason string, partition string, offset string, kafka_time string, folded string"
        )
        headers = F.when(~valid, dead_letter_headers(settings, problem))
        self._valid = valid
        self._judged = judge(judges, tasks)("judged_by")
        self._others = F.explode(topics).alias("topic"), headers.alias("headers")

    def records(self, folded: DataFrame, micro_batch: int) -> DataFrame:
        """Kafka records (key, value, topic, headers): scores, alerts, dead letters. An anomaly is a score and an alert."""
        end = {
            "fold_version": FOLD_VERSION,
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
    model_name: str
    model_version: int
    model_digest: str
    threshold_version: int
    reasons: list[Reason]


class Fitting(NamedTuple):
    """Sets aside what the topics of scores and alerts do not take."""

    limits: TopicLimits
    set_aside: SetAsides

    def unfit(self, rows: np.ndarray, parts: Sequence[bytes], anomalies: np.ndarray) -> list[int]:
        """Of rows (n,) JUDGED_BY, with the JSON of their judgements, those whose score or alert would be too large."""
        sizes = rows["bytes"] + np.fromiter(map(len, parts), np.int64, len(parts)) + CLOSING_BYTES
        most = np.where(anomalies, room(min(self.limits.scores, self.limits.alerts)), room(self.limits.scores))
        found: list[int] = np.flatnonzero(sizes > most).tolist()
        if found:
            self.set_aside.add({place(rows["position"][k]): _unfit(int(sizes[k]), int(most[k])) for k in found})
        return found


def _unfit(size: int, most: int) -> SetAside:
    return SetAside(
        f"its score has {size:,} bytes; the topics of scores and alerts take at most {most:,} (max.message.bytes)", True
    )


def judge(judges: Sequence[tuple[int, Judge]], tasks: Tasks) -> Any:
    """The pandas UDF that judges: `JUDGED_BY` as bytes → struct(json: the fields of `Judged`, is_anomaly).

    Both are null where there is nothing to judge, and for a message that could not be judged, or whose
    score no topic takes, which is set aside.
    """
    starts = np.array([start for start, _ in judges], np.int64)
    fitting = Fitting(tasks.limits, tasks.set_aside)

    def judged_rows(rows: np.ndarray) -> pd.DataFrame:
        json, is_anomaly, reasons = np.full(len(rows), None), np.full(len(rows), None), dict[tuple[int, int], str]()

        def failed(row: int, error: Exception) -> None:
            reasons[place(int(rows["position"][row]))] = in_words("judgement", error)

        whose = np.maximum(np.searchsorted(starts, rows["position"], "right") - 1, 0)
        whose[rows["position"] == NO_POSITION] = -1
        for number in np.unique(whose[whose >= 0]).tolist():
            one = judges[number][1]
            for some, (parts, anomalies) in in_halves(
                lambda some, one=one: _judged(rows[some], one),
                np.flatnonzero(whose == number),
                lambda one=one: _judged(typical(one.model.value), one),
                failed,
            ):
                json[some], is_anomaly[some] = parts, anomalies
                unfit = some[fitting.unfit(rows[some], parts, np.array(anomalies, np.bool_))]
                json[unfit], is_anomaly[unfit] = None, None
        if reasons:
            tasks.set_aside.add({at: SetAside(reason, folded=True) for at, reason in reasons.items()})
            tasks.failures.add(Failures.of(reasons))
        return pd.DataFrame({"json": json, "is_anomaly": is_anomaly})

    @F.pandas_udf("json binary, is_anomaly boolean")  # type: ignore[call-overload, misc]
    def judged(batches: Iterator[pd.Series]) -> Iterator[pd.DataFrame]:
        for batch in batches:
            yield judged_rows(np.frombuffer(b"".join(batch), JUDGED_BY))

    return judged


def _judged(rows: np.ndarray, judge: Judge) -> tuple[np.ndarray, list[bool]]:
    """Rows (n,) JUDGED_BY, by one judge: the part of each one's JSON, and whether it is an anomaly.

    Above the threshold of its segment a score is an anomaly, at it normal.
    """
    model, versions = judge.model.value, judge.versions
    by = versions.name, versions.model, versions.model_digest[:DIGEST_DIGITS], versions.thresholds
    features = np.ascontiguousarray(rows["features"])
    scores = model.anomaly_score(features)
    if not np.isfinite(scores).all():
        raise ValueError(f"the model's score is not a finite number: {scores[~np.isfinite(scores)][0]}")
    thresholds = judge.lookup.of_segments(rows["segment"])
    anomalies = scores > thresholds
    reasons = iter(model.reasons(features[anomalies]))
    results = [
        Judged(score, anomaly, threshold, *by, next(reasons) if anomaly else [])
        for score, anomaly, threshold in zip(scores.tolist(), anomalies.tolist(), thresholds.tolist(), strict=True)
    ]
    return _parts(results), anomalies.tolist()


def typical(model: Model) -> np.ndarray:
    """(1,) JUDGED_BY: a transaction that is typical of those that a model was trained on, which it must be able to judge."""
    row = np.zeros(1, JUDGED_BY)
    row["features"] = model.usual[:, 1]
    return row


def _parts(results: list[Judged]) -> np.ndarray:
    """The JSON of each of n `Judged`, (n,) bytes, with a comma for its opening brace and none for its closing one."""
    parts = np.empty(len(results), object)
    parts[:] = [b"," + line[1:-1] for line in _lines(results).split(b"\n")[:-1]]
    return parts


_lines: Final = msgspec.json.Encoder().encode_lines


def dead_letter_headers(settings: Settings, problem: Column) -> Column:
    """Kafka headers that say where a dead letter came from and why it is one; each value is text.

    problem: a struct of reason, partition, offset, kafka_time and folded, which is "true" or null.
    """

    def header(name: str, text: Column) -> Column:
        return F.struct(F.lit(name).alias("key"), text.cast("string").cast("binary").alias("value"))

    origin = F.array(
        header("reason", problem["reason"]),
        header("topic", F.lit(settings.transactions_topic)),
        header("partition", problem["partition"]),
        header("offset", problem["offset"]),
        header("kafka_time", problem["kafka_time"]),
    )
    folded = F.array(header("folded", problem["folded"]))
    return F.when(problem["folded"] == "true", F.concat(origin, folded)).otherwise(origin)
