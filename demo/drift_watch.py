"""Looks for drift while traffic flows: counts the scores of a chapter, and compares them with the training of what judges."""

import threading
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

import msgspec
import numpy as np

from messaging.config import KafkaConfig
from messaging.reader import Reader
from ml.drift.alarms import Alarm, look
from ml.drift.counts import BLOCK, Counts, Rows, merged
from ml.drift.policy import DriftPolicy
from ml.drift.reference import DriftReference
from ml.features import FEATURE_SET, FEATURES
from ml.features.events import milliseconds
from ml.registry.model_store import ModelStore
from ml.schema import Identifier, Offset, Partition, SchemaVersion, Time, Unreadable, Version
from ml.schema import Reader as JsonReader
from ml.segments import segment_name
from programs.background import Background
from settings import Settings

_LOOK_SECONDS: Final = 2.0
_WAIT_SECONDS: Final = 0.2
_WINDOW_MINUTES: Final = 30


class Counted(msgspec.Struct, gc=False, kw_only=True):
    """What is counted of a score."""

    transaction_id: Identifier
    event_time: Time
    partition: Partition
    offset: Offset
    features: list[float]
    feature_set: str
    anomaly_score: float
    is_anomaly: bool
    model_version: Version
    schema_version: SchemaVersion
    channel: str | None = None
    merchant_category: str | None = None


_decode: Final = JsonReader(Counted).read


class DriftWatch(Background):
    """Counts what was scored with an event time after `since`; `alarm` is the first alarm, once there is one."""

    def __init__(self, settings: Settings, since: datetime) -> None:
        super().__init__()
        self.alarm: Alarm | None = None
        self._settings = settings
        self._since = milliseconds(since)
        self._policy = fresh(DriftPolicy.read(None))
        self._places: set[tuple[int, int]] = set()
        self._new: list[Counted] = []
        self._counts: dict[int, tuple[DriftReference, Counts]] = {}

    def work(self, stopped: threading.Event) -> None:
        registry = ModelStore(self._settings.mlflow_tracking_uri)
        with Reader(KafkaConfig.from_settings(self._settings), self._settings.scores_topic) as reader:
            while not stopped.is_set() and self.alarm is None:
                deadline = time.monotonic() + _LOOK_SECONDS
                while time.monotonic() < deadline and not stopped.is_set():
                    self._take(reader)
                self._count(registry)
                self.alarm = self._first_alarm()

    def _take(self, reader: Reader) -> None:
        for message in reader.read(_WAIT_SECONDS):
            with suppress(Unreadable):  # a foreign record
                score = _decode(message.value())
                place = score.partition, score.offset
                if score.feature_set != FEATURE_SET or milliseconds(score.event_time) < self._since:
                    continue
                if place not in self._places:
                    self._places.add(place)
                    self._new.append(score)

    def _count(self, registry: ModelStore) -> None:
        """Add what is new to the counts of the version that judged it, in the bins of that version's training."""
        new, self._new = self._new, []
        for version in {score.model_version for score in new}:
            if version not in self._counts:
                reference = DriftReference.of_model(registry.load(version))
                self._counts[version] = reference, Counts.empty(reference.bins)
            reference, counts = self._counts[version]
            of_version = [score for score in new if score.model_version == version]
            self._counts[version] = (
                reference,
                merged([counts, Counts.counted(reference.bins, _rows(of_version, reference))]),
            )

    def _first_alarm(self) -> Alarm | None:
        if not self._counts:
            return None
        reference, counts = self._counts[max(self._counts)]
        if not len(counts.blocks):
            return None
        # The newest block may still grow: it is looked at once the next one has begun.
        found = look(counts, reference, self._policy, self._since // BLOCK, int(counts.blocks[-1]))
        return next(iter(found.alarms), None)


def fresh(policy: DriftPolicy) -> DriftPolicy:
    """A policy for traffic that begins where training ended, and is fast: training is as near as last week, and no day passes.

    A window is half an hour, since ten minutes of a simulated night hold too few transactions.
    """
    scales = [scale for scale in policy.scales if scale.minutes < _WINDOW_MINUTES]
    slowest = max(scales, key=lambda scale: scale.in_a_row)
    least = {"training": slowest.least_psi["last_week"]}
    return msgspec.structs.replace(
        policy, scales=(msgspec.structs.replace(slowest, minutes=_WINDOW_MINUTES, least_psi=least),)
    )


def _rows(scores: list[Counted], reference: DriftReference) -> Rows:
    places = [FEATURES.index(name) for name in reference.bins.names[:-1]]
    return Rows(
        np.array([milliseconds(score.event_time) for score in scores], np.int64),
        np.array([score.features for score in scores], np.float64)[:, places],
        np.array([score.anomaly_score for score in scores], np.float64),
        np.array([segment_name(score.channel, score.merchant_category) for score in scores], object),
        np.array([score.is_anomaly for score in scores], bool),
    )


def minutes_after(alarm: Alarm, begins: datetime) -> float:
    """Simulated minutes from a shift to its alarm; below 0: the alarm came before."""
    return (alarm.since - milliseconds(begins)) / 60_000


def in_words(alarm: Alarm, begins: datetime) -> str:
    """What drifts, and how long after the shift it was noticed, in simulated time."""
    minutes = minutes_after(alarm, begins)
    when = (
        f"{minutes:.0f} simulated minutes after it began" if minutes >= 0 else f"{-minutes:.0f} minutes before it began"
    )
    at = datetime.fromtimestamp(alarm.since / 1000, UTC)
    return f"drift is noticed at {at:%H:%M}, {when}: {alarm.finding.what} is not as in training"
