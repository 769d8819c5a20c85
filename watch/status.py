"""The status: what the watcher is doing, why, since when, and when it looks next; a JSON file for pages and people."""

from typing import Final, Literal

import msgspec

from watch.journal import STATUS, Folder, JournalUnusable
from watch.seen import Seen
from watch.state import State
from watch.steps import Entry, Step, Wait

_STEPS: Final = 20

Doing = Literal["waiting", "paused", "cooldown", "retraining", "trial", "ramp", "gate", "guarding", "blind", "step"]


class Status(msgspec.Struct, frozen=True):
    """Times are ms since the epoch, event_time that of the newest transaction. doing: one word; why: a sentence.

    since: when it began to do that. candidate: trained, not on trial yet. steps: the newest entries of the journal, newest
    first. policy: the file, and what is wrong with it where the last good one is in use.
    """

    time: int
    doing: Doing
    why: str
    since: int
    next_look: int
    event_time: int | None = None
    champion: int | None = None
    previous: int | None = None
    trial: int | None = None
    judges: float = 0.0
    candidate: int = 0
    held: tuple[int, ...] = ()
    alarms: tuple[str, ...] = ()
    blind: tuple[str, ...] = ()
    policy: str = ""
    policy_error: str = ""
    steps: tuple[Entry, ...] = ()


def doing_of(decision: Step | Wait, seen: Seen, state: State) -> Doing:
    """What the watcher is doing, in one word."""
    if isinstance(decision, Step):
        return "step"
    if seen.paused:
        return "paused"
    if state.work is not None:
        return "retraining" if state.work.step.kind == "train" else "gate"
    if state.role == "candidate":
        return "ramp" if state.judges else "trial"
    if decision.why.startswith("cooldown"):
        return "cooldown"
    return "guarding" if state.role == "guard" else "waiting"


def status_of(decision: Step | Wait, seen: Seen, state: State, entries: list[Entry], next_look: int) -> Status:
    """The status after a look, as if it began to do this now."""
    trial = seen.trial
    return Status(
        seen.now,
        doing_of(decision, seen, state),
        decision.why,
        seen.now,
        next_look,
        seen.event_now,
        seen.champion,
        seen.previous,
        None if trial is None else trial.version,
        0.0 if trial is None else trial.judges,
        state.candidate,
        seen.held,
        seen.alarms,
        seen.blind,
        steps=tuple(entries[: -_STEPS - 1 : -1]),
    )


def read_status(folder: Folder) -> Status | None:
    """The last status; None where no watcher has looked yet. Raises `JournalUnusable` where it can't be read."""
    file = folder.path / STATUS
    try:
        return msgspec.json.decode(file.read_bytes(), type=Status)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        raise JournalUnusable(f"{file} can't be read: {error}") from error
