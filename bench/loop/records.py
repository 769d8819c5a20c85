"""The records of a run, read back from Kafka: what was sent, what was judged and how, and what was fraud."""

from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np

from messaging.config import KafkaConfig
from messaging.reader import Reader
from ml.arrays import Flags, Floats, Ints
from ml.features.events import milliseconds
from ml.schema import Challenge, Identifier, KafkaTime, Offset, Partition, Time, Version
from settings import Settings

NONE: Final = 0


class Judged(msgspec.Struct, gc=False, kw_only=True):
    """What is read of a score."""

    transaction_id: Identifier
    event_time: Time
    partition: Partition
    offset: Offset
    kafka_time: KafkaTime
    scored_at: int
    anomaly_score: float
    is_anomaly: bool
    model_version: Version
    challenger: Challenge | None = None
    champion: Challenge | None = None


class _Truth(msgspec.Struct):
    transaction_id: Identifier
    is_fraud: bool | None


@dataclass(frozen=True, eq=False)
class Records:
    """The n transactions that were judged, in the order of event time. time: event ms; arrived: Kafka's, ms.

    version, score: of the model that judged; other, other_score: of the one beside it, NONE and NaN where there was none.
    sent: how many transactions there are; dead: dead letters; judged_twice: places with two judgements
    that differ. lag_seconds: from Kafka to the score, of 99 in 100.
    """

    time: Ints
    arrived: Ints
    is_fraud: Flags
    version: Ints
    score: Floats
    other: Ints
    other_score: Floats
    sent: int
    dead: int
    judged_twice: int
    lag_seconds: float | None = None

    @property
    def lost(self) -> int:
        """Transactions of which there is neither a score nor a dead letter."""
        return self.sent - len(self.time) - self.dead


def read_records(settings: Settings) -> Records:
    """All records of a run. Raises `messaging.errors.ReadError`."""
    kafka = KafkaConfig.from_settings(settings)
    frauds = _frauds(kafka, settings.truth_topic)
    decode = msgspec.json.Decoder(Judged).decode
    places: dict[tuple[int, int], Judged] = {}
    twice = set()
    with Reader(kafka, settings.scores_topic) as reader:
        for message in reader.read_all():
            score = decode(message.value() or b"")
            place = score.partition, score.offset
            before = places.setdefault(place, score)
            if (before.model_version, before.anomaly_score) != (score.model_version, score.anomaly_score):
                twice.add(place)
    rows = sorted(places.values(), key=lambda score: score.event_time)
    beside = [score.challenger or score.champion for score in rows]
    with Reader(kafka, settings.invalid_topic) as reader:
        dead = sum(1 for _ in reader.read_all())
        sent = sum(reader.ends(settings.transactions_topic).values())
    lags = [score.scored_at - score.kafka_time for score in rows]
    return Records(
        np.array([milliseconds(score.event_time) for score in rows], np.int64),
        np.array([score.kafka_time for score in rows], np.int64),
        np.array([score.transaction_id in frauds for score in rows], np.bool_),
        np.array([score.model_version for score in rows], np.int64),
        np.array([score.anomaly_score for score in rows], np.float64),
        np.array([NONE if each is None else each.model_version for each in beside], np.int64),
        np.array([np.nan if each is None else each.anomaly_score for each in beside], np.float64),
        sent,
        dead,
        len(twice),
        float(np.quantile(lags, 0.99)) / 1000 if lags else None,
    )


def _frauds(kafka: KafkaConfig, topic: str) -> set[str]:
    decode = msgspec.json.Decoder(_Truth).decode
    with Reader(kafka, topic) as reader:
        read = [decode(message.value() or b"") for message in reader.read_all()]
    return {truth.transaction_id for truth in read if truth.is_fraud}
