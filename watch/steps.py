"""The steps that the watcher takes, and the entries of its journal."""

from typing import Final, Literal

import msgspec

Kind = Literal["note", "alarm", "train", "gate", "challenge", "promote", "rollback", "withdraw"]
Role = Literal["", "candidate", "guard", "by hand"]
"""What a trial is for: a candidate's own; the champion before, which scores on beside its successor; a person's."""

WORK: Final = ("train", "gate")
"""Steps that take minutes: they go on in a process of their own while the watcher looks on."""


class Step(msgspec.Struct, frozen=True, omit_defaults=True):
    """One step, and why. version: which model it is about; 0 where that is made by the step.

    champion, trial: what the aliases named when it was decided; what a person changes in between is left as it is. by_hand: how
    often the champion had been changed by others, for a person may have gone there and back.
    judges: of the customers, with a challenge. detector: of a training. since, until: its window of the lake, event ms. live: a
    gate compares live scores too.
    """

    kind: Kind
    why: str
    version: int = 0
    champion: int = 0
    trial: int = 0
    judges: float = 0.0
    role: Role = ""
    detector: str = ""
    since: int = 0
    until: int = 0
    live: bool = False
    by_hand: int = 0


class Wait(msgspec.Struct, frozen=True):
    """Nothing is done until the next look, and why."""

    why: str


Phase = Literal["begun", "done", "failed", "overruled"]


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """A line of the journal: what became of a step. time: ms since the epoch; event_time: the newest transaction's.

    version: that a training made. passed, better: what the gate said. said: the outcome in words.
    """

    id: str
    time: int
    event_time: int
    phase: Phase
    step: Step
    version: int = 0
    passed: bool = False
    better: bool = False
    said: str = ""
