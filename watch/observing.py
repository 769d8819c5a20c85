"""The look: what the registry, the lake and Kafka say now. What can't be seen costs that figure, and is said."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

import duckdb
from deltalake.exceptions import DeltaError

from lake import live_drift
from lake.live_quality import live_quality
from lake.place import LakeUnusable, Place
from lake.views import connect, newest_of
from messaging.config import KafkaConfig
from messaging.errors import KafkaConfigError, ReadError
from messaging.reader import Reader
from ml.drift.alarms import look
from ml.drift.counts import block_of
from ml.drift.policy import DriftPolicy, DriftPolicyError
from ml.drift.reference import DriftReference, NoReference
from ml.features.events import milliseconds
from ml.model import Model
from ml.one_line import one_line
from ml.quality.intervals import Interval
from ml.registry.model_store import ModelRefused, ModelStore, NoChampion, RegistryError
from settings import Settings
from watch.doing import by_hand
from watch.journal import Folder
from watch.lake_window import moment
from watch.policy import WatchPolicy
from watch.seen import Live, Pair, Seen, Trying
from watch.state import State

UNSEEN: Final = (
    duckdb.Error,
    DeltaError,
    LakeUnusable,
    OSError,
    RegistryError,
    ModelRefused,
    NoReference,
    DriftPolicyError,
    KafkaConfigError,
    ReadError,
)
"""What is raised where something can't be seen now."""

_LOOKS: Final = 10
_DRIFT_DAYS: Final = 3
_OF_TRIAL: Final = "cast(json_extract(challenger, '$.model_version') as bigint) = $version"
_CHALLENGER_ALERTS: Final = "cast(json_extract(challenger, '$.is_anomaly') as boolean)"
_LATENCY: Final = "quantile_cont(scored_at - kafka_time, 0.99)"


class Champion(NamedTuple):
    """What is known of the champion: the model, and the end of what it learned from (event ms)."""

    model: Model
    learned_until: int | None


@dataclass
class Observer:
    """Looks at everything. registry, place: where; drift_seconds: between two looks at drift, of the wall clock."""

    registry: ModelStore
    place: Place
    settings: Settings
    folder: Folder
    drift_seconds: float = 600.0
    clock: Callable[[], float] = time.time
    _champions: dict[int, Champion] = field(default_factory=dict)
    _drift: tuple[int, float, tuple[str, ...]] | None = None
    _ends: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=_LOOKS))

    def look(self, state: State, policy: WatchPolicy) -> Seen:
        """Raises `RegistryError` where the registry does not answer: without it nothing is decided."""
        seen: dict[str, Any] = {"now": int(self.clock() * 1000), "held": self.folder.held()}
        seen["paused"] = self.folder.paused()
        try:
            version = self.registry.champion()
        except NoChampion:
            return Seen(**seen)
        trial = self.registry.on_trial()
        if trial is not None:
            seen["trial"] = Trying(trial.entry.version, trial.terms.share, trial.terms.judges)
        seen |= {"champion": version, "previous": self.registry.previous(), "by_hand": by_hand(self.registry)}
        blind: list[str] = []
        self._try(blind, "the champion", lambda: seen.update(self._of_champion(version)))
        self._try(blind, "the lake", lambda: seen.update(self._of_lake(state, policy, version, seen["previous"])))
        if seen.get("event_now"):
            self._try(blind, "drift", lambda: seen.update(alarms=self._alarms(version, policy, seen["event_now"])))
            self._try(blind, "quality", lambda: seen.update(recall=self._recall(version, policy)))
        self._try(blind, "Kafka", lambda: seen.update(dead_letters=self._dead_letters()))
        return Seen(**seen, blind=tuple(blind))

    def _try(self, blind: list[str], what: str, see: Callable[[], None]) -> None:
        try:
            see()
        except UNSEEN as error:
            blind.append(f"{what} can't be seen: {one_line(error)[:500]}")

    def champion(self, version: int) -> Champion:
        """A version that judges, loaded once."""
        if version not in self._champions:
            model = self.registry.load(version, self.registry.extras)
            until = self.registry.training(version).params.get("history_until")
            learned = None if until is None else milliseconds(datetime.fromisoformat(until))
            self._champions = {version: Champion(model, learned)}
        return self._champions[version]

    def _of_champion(self, version: int) -> dict[str, Any]:
        champion = self.champion(version)
        return {"budget": champion.model.budget, "learned_until": champion.learned_until}

    def _of_lake(self, state: State, policy: WatchPolicy, champion: int, previous: int | None) -> dict[str, Any]:
        with connect(self.place) as lake:
            newest = newest_of(lake)
            if newest is None:
                return {}
            now = milliseconds(newest)
            window = now - round(policy.retrain.window_days * 86_400_000)
            learned = self._champions[champion].learned_until if champion in self._champions else None
            return {
                "event_now": now,
                "new_frauds": _frauds(lake, "label_time", 0 if learned is None else learned),
                "known_frauds": _frauds(lake, "event_time", window),
                "live": _judged(lake, champion, state.changed or 0),
                "tried": _tried(lake, state),
                "pair": _pair(lake, champion, previous or 0, state.changed or 0),
            }

    def _alarms(self, version: int, policy: WatchPolicy, now: int) -> tuple[str, ...]:
        """What drifts, the first alarm first. Looked at less often than the rest, for it reads days of scores."""
        if self._drift is not None:
            of, at, alarms = self._drift
            if of == version and 0 <= self.clock() - at < self.drift_seconds:  # the clock may be set back
                return alarms
        model = self.champion(version).model
        reference = DriftReference.of_model(model)
        read = DriftPolicy.read(None if policy.drift is None else Path(policy.drift))
        end = moment(now)
        begin = end - timedelta(days=_DRIFT_DAYS)
        counts = live_drift.counts(self.place, model, reference.bins, live_drift.needed_since(begin, read), end)
        lasting = look(counts, reference, read, block_of(begin), block_of(end)).lasting
        found = tuple(dict.fromkeys(alarm.finding.what for alarm in lasting))
        self._drift = version, self.clock(), found
        return found

    def _recall(self, version: int, policy: WatchPolicy) -> tuple[float, float] | None:
        """Of the frauds of the last days that are known, the share that was alerted, and the upper end of its interval."""
        if policy.retrain.recall_below is None:
            return None
        rows = [row for row in live_quality(self.place) if row.model_version == version and row.day is not None]
        rows = rows[: max(1, round(policy.retrain.quality_days))]
        known = sum(row.quality.known_frauds for row in rows)
        if not known:
            return None
        found = Interval.of_share(sum(row.quality.known_caught for row in rows), known)
        return found.value, found.high

    def _dead_letters(self) -> float | None:
        """Their share of what has come since the last looks; None at the first look."""
        with Reader(KafkaConfig.from_settings(self.settings)) as reader:
            topics = self.settings.scores_topic, self.settings.invalid_topic
            scores, dead = (sum(reader.ends(topic).values()) for topic in topics)
        if self._ends and (scores < self._ends[-1][0] or dead < self._ends[-1][1]):  # a topic was made again
            self._ends.clear()
        self._ends.append((scores, dead))
        came = scores - self._ends[0][0], dead - self._ends[0][1]
        return came[1] / sum(came) if sum(came) else None


def _one(lake: duckdb.DuckDBPyConnection, query: str, values: dict[str, Any]) -> tuple[Any, ...]:
    return lake.execute(query, values).fetchone() or ()


def _counted(condition: str) -> str:
    """How many rows hold a condition; of no rows 0, where `count_if` alone says null."""
    return f"coalesce(count_if({condition}), 0)"


def _frauds(lake: duckdb.DuckDBPyConnection, by: str, since: int) -> int:
    """Known frauds among the lake's transactions since a time (ms), by event_time or label_time."""
    found = _one(
        lake,
        f"select count(distinct transaction_id) from known join scores using (transaction_id) where is_fraud and {by} > $since",
        {"since": moment(since)},
    )
    return int(found[0])


def _judged(lake: duckdb.DuckDBPyConnection, version: int, since: int) -> Live:
    """What a champion judged since a time (event ms)."""
    found = _one(
        lake,
        f"select count(*), {_counted('is_anomaly')}, {_LATENCY} from scores "
        "where model_version = $version and event_time > $since and champion is null",
        {"version": version, "since": moment(since)},
    )
    return Live(*found)


def _tried(lake: duckdb.DuckDBPyConnection, state: State) -> Live:
    """What the version on trial judged, or scored beside the champion, since it does so."""
    if not state.trial:
        return Live()
    values = {"version": state.trial, "since": moment(state.trial_since)}
    if state.judges:
        query = (
            f"{_counted('is_anomaly')}, {_LATENCY} from scores where champion is not null and model_version = $version"
        )
    else:
        query = f"{_counted(_CHALLENGER_ALERTS)}, null from scores where challenger is not null and {_OF_TRIAL}"
    return Live(*_one(lake, f"select count(*), {query} and event_time > $since", values))


def _pair(lake: duckdb.DuckDBPyConnection, champion: int, before: int, since: int) -> Pair:
    """Of the frauds that are known, what the champion, and what the one before beside it alone alerted."""
    found = _one(
        lake,
        f"""
        select {_counted("is_anomaly and not other")}, {_counted("other and not is_anomaly")} from (
            select is_anomaly, {_CHALLENGER_ALERTS} as other
            from scores join known using (transaction_id)
            where is_fraud and challenger is not null and champion is null and model_version = $version
                and cast(json_extract(challenger, '$.model_version') as bigint) = $before and event_time > $since
        )
        """,
        {"version": champion, "before": before, "since": moment(since)},
    )
    return Pair(*found)
