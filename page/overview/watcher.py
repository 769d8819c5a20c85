"""What the watcher is doing, by the status that it writes after each look."""

from pathlib import Path
from typing import Final

import msgspec

from page.overview.questions import NoAnswer

STATUS: Final = "status.json"
_LARGEST: Final = 4 << 20


class WatcherStep(msgspec.Struct, frozen=True):
    """A step and why; version: which model, 0 where that is made by the step."""

    kind: str
    why: str
    version: int = 0


class WatcherEntry(msgspec.Struct, frozen=True):
    """A line of its journal. time: ms since the epoch."""

    time: int
    phase: str
    step: WatcherStep
    version: int = 0
    said: str = ""


class WatcherStatus(msgspec.Struct, frozen=True):
    """The part of `watch.status.Status` that is shown. Times are ms since the epoch."""

    time: int
    doing: str
    why: str
    since: int
    next_look: int
    champion: int | None = None
    trial: int | None = None
    judges: float = 0.0
    candidate: int = 0
    alarms: tuple[str, ...] = ()
    blind: tuple[str, ...] = ()
    policy_error: str = ""
    steps: tuple[WatcherEntry, ...] = ()


def watcher_status(folder: Path) -> WatcherStatus:
    """The last one. Raises `NoAnswer` where no watcher has looked, or it can't be read."""
    file = folder / STATUS
    try:
        with file.open("rb") as opened:
            return msgspec.json.decode(opened.read(_LARGEST), type=WatcherStatus)
    except FileNotFoundError:
        raise NoAnswer(f"no watcher has looked yet: there is no {file}") from None
    except (OSError, msgspec.MsgspecError) as error:
        raise NoAnswer(f"{file} can't be read: {error}") from None
