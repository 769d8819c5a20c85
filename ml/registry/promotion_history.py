"""The promotion history: the champions before this one, for a rollback, and the record of all that was done to the aliases."""

import getpass
import secrets
import socket
import time
from collections.abc import Mapping, Sequence
from typing import Final, Literal, NamedTuple, Self

import msgspec

REMEMBERED: Final = 50

_LARGEST: Final = 5_000
"""Characters of a tag's value that every database of MLflow takes."""

Action = Literal["promote", "rollback", "challenge", "withdraw"]


class Check(msgspec.Struct, frozen=True):
    """One check of the gate: its name, whether it passed (None: there is nothing to check it by), and its figures in words."""

    name: str
    passed: bool | None
    figures: str


class Note(NamedTuple):
    """What is recorded beside a change: who or what made it, and why; forced: past a gate that did not pass, or was not asked.

    gate: the checks of the gate's report, where it was asked.
    """

    by: str = ""
    why: str = ""
    forced: bool = False
    gate: Sequence[Check] = ()


class Terms(msgspec.Struct, frozen=True, omit_defaults=True):
    """Of a trial: the shares of the customers whom the challenger scores, and whom it judges, in [0, 1].

    salt: draws other customers; "" for what the model itself is.
    """

    share: float = 1.0
    judges: float = 0.0
    salt: str = ""


class Event(msgspec.Struct, frozen=True, omit_defaults=True):
    """A change of the champion or of the challenger. time: ms since the epoch; replaced: the version before, None for none.

    trained_on: of the version's training run, what says by which data it learned. terms: of a trial.
    """

    action: Action
    version: int
    replaced: int | None
    time: int
    by: str
    why: str = ""
    forced: bool = False
    gate: list[Check] = []
    trained_on: dict[str, str] = {}
    terms: Terms = Terms()

    @classmethod
    def now(
        cls,
        action: Action,
        version: int,
        replaced: int | None,
        note: Note,
        trained_on: Mapping[str, str],
        terms: Terms = Terms(),  # noqa: B008  # it is frozen
    ) -> Self:
        """An event of this moment, by the user of this process where the note names nobody."""
        gate, by = list(note.gate), note.by or this_user()
        now = time.time_ns() // 1_000_000
        return cls(action, version, replaced, now, by, note.why, note.forced, gate, dict(trained_on), terms)


def this_user() -> str:
    """Who runs this process, as user@host."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        user = "unknown"
    return f"{user}@{socket.gethostname()}"


def key_after(keys: Sequence[str], prefix: str) -> str:
    """The name of the next event's tag: numbered, and never one that another process may write at the same time.

    >>> key_after(["e.000004-0a0a0a0a"], "e.")[:9]
    'e.000005-'
    """
    numbers = [int(key.removeprefix(prefix).partition("-")[0]) for key in keys]
    return f"{prefix}{max(numbers, default=0) + 1:06d}-{secrets.token_hex(4)}"


def encoded(event: Event) -> str:
    """An event as JSON that a tag can hold; what is too long for it loses its longest texts' ends."""
    for most in (_LARGEST, 300, 100, 30, 10):
        gate = [msgspec.structs.replace(check, figures=check.figures[:most]) for check in event.gate]
        data = {name: value[:most] for name, value in event.trained_on.items()}
        short = msgspec.structs.replace(event, by=event.by[:300], why=event.why[:most], gate=gate, trained_on=data)
        text = msgspec.json.encode(short).decode()
        if len(text) <= _LARGEST:
            return text
    return msgspec.json.encode(msgspec.structs.replace(event, why="", gate=[], trained_on={})).decode()


def decoded(tags: Mapping[str, str], prefix: str) -> list[Event]:
    """The events among a model's tags, oldest first; what is none of ours is left out."""
    found = []
    for key in sorted(key for key in tags if key.startswith(prefix)):
        try:
            found.append(msgspec.json.decode(tags[key], type=Event))
        except msgspec.MsgspecError:  # somebody else's tag
            continue
    return found


def promoted(history: Sequence[int], champion: int | None, version: int) -> list[int]:
    """The history once `version` becomes champion after `champion`, which a person may have set by hand.

    >>> promoted([1, 2], 2, 5)
    [1, 2, 5]
    """
    known = list(history)
    for entry in (champion, version):
        if entry is not None and (not known or known[-1] != entry):
            known.append(entry)
    return known[-REMEMBERED:]


def rolled_back(history: Sequence[int], champion: int | None) -> list[int]:
    """The history once the champion is replaced by the one before it, which is now the last; empty where there was none.

    >>> rolled_back([1, 2, 5], 5), rolled_back([1, 2], 2), rolled_back([1], 1)
    ([1, 2], [1], [])
    """
    return list(history[:-1] if history and history[-1] == champion else history)
