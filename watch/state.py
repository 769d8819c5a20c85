"""What the journal says of the past, folded into what the next decision needs."""

from collections.abc import Iterable
from functools import reduce
from typing import Any

import msgspec

from watch.steps import WORK, Entry, Kind, Role, Step

MOST_DONE_WITH = 1_000


class Gated(msgspec.Struct, frozen=True):
    """What the gate said of a version. time: event ms; live: by its live scores too."""

    version: int
    passed: bool
    better: bool
    time: int
    live: bool = False


class Open(msgspec.Struct, frozen=True):
    """A step that has begun and has no end in the journal. time: ms since the epoch."""

    id: str
    step: Step
    time: int


class State(msgspec.Struct, frozen=True):
    """The past in short. All times are event ms, but for `failed_at`, which is of the wall clock.

    begun: a quick step without an end; work: a long one. champion, trial: as the journal knows them. trial_since: since when on
    these terms; first_tried: since the trial began. changed: when the champion changed last, None: never. promoted: the one
    that the watcher made, 0 for none. alarm_since: of drift, the first since the champion changed; alarm: of what.
    candidate: trained, not yet on trial. tried: detectors that were trained already for one reason; trained: when the last one
    was. done_with: never promoted by the watcher again. by_hand: how often others had changed the champion, as noted.
    """

    begun: Open | None = None
    work: Open | None = None
    champion: int = 0
    trial: int = 0
    judges: float = 0.0
    role: Role = ""
    trial_since: int = 0
    first_tried: int = 0
    changed: int | None = None
    promoted: int = 0
    alarm_since: int | None = None
    alarm: str = ""
    candidate: int = 0
    gated: Gated | None = None
    trained: int | None = None
    tried: tuple[str, ...] = ()
    done_with: tuple[int, ...] = ()
    failures: int = 0
    failed: Kind | None = None
    failed_at: int = 0
    entries: int = 0
    by_hand: int = 0

    @property
    def next_id(self) -> str:
        """The id of the next step: no two steps of one journal have the same."""
        return f"{self.entries + 1:06d}"


def folded(entries: Iterable[Entry]) -> State:
    """The state after some entries."""
    return reduce(after, entries, State())


def after(state: State, entry: Entry) -> State:
    """The state after one more entry."""
    state = msgspec.structs.replace(state, entries=state.entries + 1)
    slot = "work" if entry.step.kind in WORK else "begun"
    if entry.phase == "begun":
        return msgspec.structs.replace(state, **{slot: Open(entry.id, entry.step, entry.time)})
    state = msgspec.structs.replace(state, **{slot: None})
    if entry.phase == "failed":
        return msgspec.structs.replace(
            _given_up(state, entry), failures=state.failures + 1, failed=entry.step.kind, failed_at=entry.time
        )
    if entry.phase == "overruled":
        return state
    return _DONE[entry.step.kind](msgspec.structs.replace(state, failures=0, failed=None), entry)


def _given_up(state: State, entry: Entry) -> State:
    """A detector that can't be trained makes room for the next one."""
    step = entry.step
    if step.kind != "train":
        return state
    return msgspec.structs.replace(state, trained=entry.event_time, tried=_tried(state, step.detector))


def _tried(state: State, detector: str) -> tuple[str, ...]:
    """The detectors that were tried; one that was is the first of another round."""
    return (detector,) if detector in state.tried else (*state.tried, detector)


def _noted(state: State, entry: Entry) -> State:
    step = entry.step
    if (step.champion, step.by_hand) != (state.champion, state.by_hand):
        state = msgspec.structs.replace(
            state,
            champion=step.champion,
            by_hand=step.by_hand,
            **_changed(entry.event_time),
            promoted=0,
            candidate=0,
            gated=None,
        )
    if (step.trial, step.judges) != (state.trial, state.judges):
        role: Role = "by hand" if step.trial else ""
        return _on_trial(state, step.trial, step.judges, role, entry.event_time)
    return state


def _on_trial(state: State, version: int, judges: float, role: Role, now: int) -> State:
    first = state.first_tried if version == state.trial else now
    return msgspec.structs.replace(
        state, trial=version, judges=judges, role=role, trial_since=now if version else 0, first_tried=first
    )


def _trained(state: State, entry: Entry) -> State:
    return msgspec.structs.replace(
        state,
        candidate=entry.version,
        gated=None,
        trained=entry.event_time,
        tried=_tried(state, entry.step.detector),
    )


def _gated(state: State, entry: Entry) -> State:
    found = Gated(entry.step.version, entry.passed, entry.better, entry.event_time, entry.step.live)
    state = msgspec.structs.replace(state, gated=found)
    return state if entry.passed else _without(state, entry.step.version)


def _without(state: State, version: int) -> State:
    """A version is left out of all that comes."""
    candidate = 0 if state.candidate == version else state.candidate
    done_with = (*(v for v in state.done_with if v != version), version)[-MOST_DONE_WITH:]
    return msgspec.structs.replace(state, candidate=candidate, done_with=done_with)


def _challenged(state: State, entry: Entry) -> State:
    step = entry.step
    if state.role == "candidate" and state.trial != step.version:
        state = _without(state, state.trial)
    candidate = 0 if state.candidate == step.version else state.candidate
    tried = () if step.role == "candidate" else state.tried
    state = msgspec.structs.replace(state, candidate=candidate, tried=tried)
    return _on_trial(state, step.version, step.judges, step.role, entry.event_time)


def _promoted(state: State, entry: Entry) -> State:
    version, now = entry.step.version, entry.event_time
    state = _on_trial(state, 0, 0.0, "", now) if state.trial == version else state
    return msgspec.structs.replace(state, champion=version, **_changed(now), promoted=version, gated=None)


def _rolled_back(state: State, entry: Entry) -> State:
    version, now = entry.version, entry.event_time
    state = _without(state, entry.step.champion)
    return msgspec.structs.replace(state, champion=version, **_changed(now), promoted=0)


def _changed(now: int) -> dict[str, Any]:
    """What a new champion begins with."""
    return {"changed": now, "alarm_since": None, "alarm": "", "tried": ()}


def _alarmed(state: State, entry: Entry) -> State:
    return msgspec.structs.replace(state, alarm_since=entry.event_time, alarm=entry.step.why)


def _withdrawn(state: State, entry: Entry) -> State:
    if entry.step.role == "candidate":
        state = _without(state, entry.step.version)
    return _on_trial(state, 0, 0.0, "", entry.event_time)


_DONE = {
    "note": _noted,
    "alarm": _alarmed,
    "train": _trained,
    "gate": _gated,
    "challenge": _challenged,
    "promote": _promoted,
    "rollback": _rolled_back,
    "withdraw": _withdrawn,
}
