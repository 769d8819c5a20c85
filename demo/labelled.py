"""What a model that learned from labels finds in the same traffic: asked after it has ended, it judges no transaction live."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import islice
from typing import Final, NamedTuple

import msgspec
import numpy as np

from demo.quality import Fraud, Quality
from messaging.config import KafkaConfig
from messaging.reader import Reader
from ml.features import FEATURE_SET, FEATURES
from ml.model import Model
from ml.registry.model_store import ModelStore
from ml.schema import Identifier, Offset, Partition, SchemaVersion, Unreadable
from ml.schema import Reader as JsonReader
from settings import Settings

DETECTOR: Final = "xgboost"
AT_ONCE: Final = 10_000
"""Scores whose features are in memory together."""


class Labelled(NamedTuple):
    """What the model found. alerted: how many frauds of each scenario."""

    version: int
    quality: Quality
    alerted: Mapping[str, int]


class Scored(msgspec.Struct, gc=False):
    """What the model needs of a score: the features, which are the customer's own."""

    transaction_id: Identifier
    partition: Partition
    offset: Offset
    features: list[float]
    feature_set: str
    schema_version: SchemaVersion


_decode: Final = JsonReader(Scored).read


def version_with_labels(registry: ModelStore) -> int | None:
    """The latest version that DETECTOR was fitted for; None where there is none."""
    versions = [model.version for model in registry.models() if model.params.get("detector") == DETECTOR]
    return max(versions, default=None)


def judged(scores: Iterator[Scored], model: Model, frauds: Mapping[str, Fraud]) -> Labelled:
    """All that was scored, judged by this model with its own threshold. frauds: the truth, by transaction."""
    columns = [FEATURES.index(name) for name in model.features]
    alerts, alerted = 0, Counter[str]()
    while some := list(islice(scores, AT_ONCE)):
        features = np.array([score.features for score in some], np.float64)[:, columns]
        is_alert = model.is_anomaly(model.anomaly_score(np.ascontiguousarray(features)))
        alerts += int(is_alert.sum())
        for row in np.flatnonzero(is_alert).tolist():
            fraud = frauds.get(some[row].transaction_id)
            if fraud is not None:
                alerted[fraud.scenario] += 1
    judged_frauds = sum(fraud.event_time is not None for fraud in frauds.values())
    return Labelled(model.version, Quality(alerts, judged_frauds, alerted.total()), alerted)


def scored(settings: Settings) -> Iterator[Scored]:
    """Each transaction's score once, from Kafka."""
    seen: set[tuple[int, int]] = set()
    with Reader(KafkaConfig.from_settings(settings), settings.scores_topic) as reader:
        for message in reader.read_all():
            with suppress(Unreadable):  # a foreign record
                score = _decode(message.value())
                place = score.partition, score.offset
                if score.feature_set == FEATURE_SET and place not in seen:
                    seen.add(place)
                    yield score
