"""Judging: an anomaly score for each folded transaction, by a pandas UDF, and the records that go to Kafka."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple, Self

import numpy as np
import pandas as pd
from pyspark import Broadcast
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import BinaryType, BooleanType, StructField, StructType

from detection.decision import Decision, Trial, basis_type, lookup
from detection.halves import Rows
from detection.judging import Judged, judge, shared_profiles
from detection.ledger import Challenger, Versions
from detection.score_json import CLOSING_BYTES, closing
from jobs.dead_letters import SetAside, SetAsides
from jobs.failures import Failures
from jobs.sent_profiles import SentProfiles
from jobs.source.topic_limits import TopicLimits, room
from jobs.tasks import Tasks
from ml.features import place
from ml.features.declared import names
from ml.model import Model
from ml.thresholds.table import Lookup, Table
from settings import Settings

JUDGED: Final = StructType([StructField("json", BinaryType()), StructField("is_anomaly", BooleanType())])
"""What the decision adds to a score, and whether it is an anomaly."""


class SentTrial(NamedTuple):
    """A `Trial` on its way to the tasks."""

    by: Challenger
    model: "Broadcast[Model]"
    thresholds: Lookup


class SentDecision(NamedTuple):
    """A `Decision` on its way to the tasks: its model is sent to each worker once, whatever table it judges by."""

    versions: Versions
    model: "Broadcast[Model]"
    thresholds: Lookup
    profiles: SentProfiles | None = None
    trial: SentTrial | None = None

    @classmethod
    def from_table(
        cls,
        versions: Versions,
        model: "Broadcast[Model]",
        table: Table | None,
        profiles: SentProfiles | None = None,
        trial: SentTrial | None = None,
    ) -> Self:
        """The decision with a table of thresholds; without, with the model's own."""
        return cls(versions, model, lookup(model.value, table), profiles, trial)

    @property
    def decision(self) -> Decision:
        """The decision, in a task."""
        profiles = None if self.profiles is None else self.profiles.profiles
        trial = None if self.trial is None else Trial(self.trial.by, self.trial.model.value, self.trial.thresholds)
        return Decision(self.versions, self.model.value, self.thresholds, profiles, trial)


class Judgement:
    """Folded messages → Kafka records. decisions: who judges from a position in the log on, in the order of positions.

    tasks: where a message that can't be judged is set aside. It gives no record here, since its own bytes are gone.
    currency_version: of the rates by which amounts were folded.
    The expressions are built once for the same decisions, not for each micro-batch: each costs a call to the JVM.
    """

    def __init__(
        self,
        decisions: Sequence[tuple[int, SentDecision]],
        settings: Settings,
        tasks: Tasks,
        currency_version: str = "",
    ) -> None:
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
        self._currency_version = currency_version
        self._profile_version = shared_profiles(sent for _, sent in decisions)
        self._judged = judged_by(decisions, tasks)("basis")
        self._others = F.explode(topics).alias("topic"), headers.alias("headers")

    def records(self, folded: DataFrame, micro_batch: int) -> DataFrame:
        """Kafka records (key, value, topic, headers): scores, alerts, dead letters. An anomaly is a score and an alert."""
        # One after the other, three parts make a JSON object: the fold's, the decision's, and what all records share.
        now = time.time_ns() // 1_000_000
        end = F.lit(closing("spark", micro_batch, now, self._profile_version, self._currency_version))
        value = F.when(self._valid, F.concat("value", "judged.json", end)).otherwise(F.col("value"))
        return folded.withColumn("judged", self._judged).select("key", value.alias("value"), *self._others)


class Fitting(NamedTuple):
    """Sets aside what the topics of scores and alerts do not take."""

    limits: TopicLimits
    set_aside: SetAsides

    def too_large(self, rows: np.ndarray, judged: Judged) -> Rows:
        """Of rows (n,) BASIS and their judgements, those whose score or alert would be too large."""
        return self._sizes(rows, judged)[0]

    def unfit(self, rows: np.ndarray, judged: Judged) -> Rows:
        """The same, set aside."""
        found, sizes, most = self._sizes(rows, judged)
        if len(found):
            self.set_aside.add({place(rows["position"][k]): _unfit(int(sizes[k]), int(most[k])) for k in found})
        return found

    def _sizes(self, rows: np.ndarray, judged: Judged) -> tuple[Rows, np.ndarray, np.ndarray]:
        lengths = np.fromiter((len(part or b"") for part in judged.json), np.int64, len(rows))
        sizes = rows["bytes"] + lengths + CLOSING_BYTES
        anomalies = judged.is_anomaly.astype(np.bool_)  # None: nothing was judged
        most = np.where(anomalies, room(min(self.limits.scores, self.limits.alerts)), room(self.limits.scores))
        return np.flatnonzero((sizes > most) & (lengths > 0)), sizes, most


def _without_trial(
    rows: np.ndarray, judged: Judged, large: Rows, decisions: Sequence[tuple[int, SentDecision]]
) -> None:
    """Judge rows of BASIS whose score is too large by the champion alone: what is on trial costs no transaction its score."""
    if not len(large):
        return
    alone = judge(rows[large], [(start, sent.decision._replace(trial=None)) for start, sent in decisions])
    judged.json[large], judged.is_anomaly[large] = alone.json, alone.is_anomaly


def _unfit(size: int, most: int) -> SetAside:
    return SetAside(
        f"its score has {size:,} bytes; the topics of scores and alerts take at most {most:,} (max.message.bytes)", True
    )


def judged_by(decisions: Sequence[tuple[int, SentDecision]], tasks: Tasks) -> Callable[[str], Column]:
    """The pandas UDF that judges: `BASIS` as bytes → `JUDGED`.

    Both are null where there is nothing to judge, and for a message that could not be judged, or whose
    score no topic takes, which is set aside.
    """
    fitting, kind = Fitting(tasks.limits, tasks.set_aside), basis_type(names(tasks.declared))

    def judged_rows(rows: np.ndarray) -> pd.DataFrame:
        found = judge(rows, [(start, sent.decision) for start, sent in decisions])
        if found.errors:
            reasons = {place(int(rows["position"][row])): why for row, why in found.errors.items()}
            tasks.set_aside.add({at: SetAside(reason, folded=True) for at, reason in reasons.items()})
            tasks.failures.add(Failures.from_reasons(reasons))
        if any(sent.trial is not None for _, sent in decisions):
            _without_trial(rows, found, fitting.too_large(rows, found), decisions)
        unfit = fitting.unfit(rows, found)
        found.json[unfit], found.is_anomaly[unfit] = None, None
        return pd.DataFrame({"json": found.json, "is_anomaly": found.is_anomaly})

    def judged(batches: Iterator[pd.Series]) -> Iterator[pd.DataFrame]:
        for batch in batches:
            yield judged_rows(np.frombuffer(b"".join(batch), kind))

    return F.pandas_udf(judged, JUDGED)  # type: ignore[call-overload, no-any-return]


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
