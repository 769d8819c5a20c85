"""The promotion history: the champions before this one, for a rollback, and the record of all that was done to the aliases."""

import getpass
import re
import secrets
import socket
import time
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Annotated, Final, Literal, NamedTuple, Self

import msgspec

REMEMBERED: Final = 50

_OURS: Final = re.compile(r"([0-9]{6,18})-[0-9a-f]{8}")
"""The end of an event's key."""

_LATEST: Final = 253_402_300_799_999
"""The end of the year 9999, ms."""
_VERSION: Final = re.compile(r"[0-9]{1,18}")
_LARGEST: Final = 5_000
"""Characters of a tag's value that every database of MLflow takes."""

NO_JSON: Final = (msgspec.MsgspecError, RecursionError)
"""What a decoder raises for a tag that somebody else wrote; the latter for one that is nested too deep."""

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
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

    share: Share = 1.0
    judges: Share = 0.0
    salt: str = ""


class Event(msgspec.Struct, frozen=True, omit_defaults=True):
    """A change of the champion or of the challenger. time: ms since the epoch; replaced: the version before, None for none.

    trained_on: of the version's training run, what says by which data it learned. terms: of a trial.
    """

    action: Action
    version: int
    replaced: int | None
    time: Annotated[int, msgspec.Meta(ge=0, le=_LATEST)]
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

    Keys that are none of ours do not count.

    >>> key_after(["e.000004-0a0a0a0a"], "e.")[:9]
    'e.000005-'
    """
    return f"{prefix}{max(_numbers(keys, prefix).values(), default=0) + 1:06d}-{secrets.token_hex(4)}"


def _numbers(keys: Iterable[str], prefix: str) -> dict[str, int]:
    """Those of the keys that are of events, and their numbers."""
    found = ((key, _OURS.fullmatch(key.removeprefix(prefix))) for key in keys if key.startswith(prefix))
    return {key: int(match[1]) for key, match in found if match}


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
    for key, number in _numbers(tags, prefix).items():
        try:
            event = msgspec.json.decode(tags[key], type=Event)
        except NO_JSON:  # somebody else's tag
            continue
        found.append((number, event.time, key, event))  # of two processes at once both may have had one number
    return [event for *_, event in sorted(found, key=itemgetter(0, 1, 2))]


def remembered(text: str) -> list[int]:
    """The champions that a tag names, oldest first; what is no version, since somebody else wrote it, is left out.

    >>> remembered("1,3"), remembered(""), remembered("1,two,[3],,4")
    ([1, 3], [], [1, 4])
    """
    return [int(version) for version in text.split(",") if _VERSION.fullmatch(version)]


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
