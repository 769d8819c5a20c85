"""How far a query has come, read from its streaming checkpoint on a local disk, without Spark."""

import json
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from detection.storage import is_number

Offsets = dict[str, dict[str, int]]


class Progress(NamedTuple):
    """committed: the last micro-batch that is done, and when (seconds since 1970); read: how far, by topic and partition;
    planned: the micro-batch that was begun after it, and where it ends."""

    committed: int | None
    committed_at: float | None
    read: Offsets
    planned: int | None
    planned_end: Offsets


def progress(query: Path) -> Progress:
    """Of the query whose streaming checkpoint is this folder."""
    committed, planned = _newest(query / "commits"), _newest(query / "offsets")
    at = None
    if committed is not None:
        with suppress(OSError):
            at = (query / "commits" / str(committed)).stat().st_mtime
    read = _first(query) if committed is None else _offsets(query / "offsets" / str(committed))
    ahead = planned if planned is not None and (committed is None or planned > committed) else None
    return Progress(committed, at, read, ahead, {} if ahead is None else _offsets(query / "offsets" / str(ahead)))


def _newest(folder: Path) -> int | None:
    with suppress(OSError):
        return max((int(file.name) for file in folder.iterdir() if is_number(file.name)), default=None)
    return None


def _first(query: Path) -> Offsets:
    return _offsets(query / "sources" / "0" / "0")


def _offsets(file: Path) -> Offsets:
    """What an offset log's file says, of all its sources together."""
    found: Offsets = {}
    if not file.is_file():  # to open a pipe would wait for who writes to it
        return found
    with suppress(OSError, UnicodeDecodeError):
        for line in file.read_text().splitlines():
            with suppress(ValueError):  # of a file that is being written
                said = json.loads(line[line.index("{") :])
                found |= {topic: ends for topic, ends in said.items() if isinstance(ends, dict) and _counts(ends)}
    return found


def _counts(ends: dict[str, object]) -> bool:
    return bool(ends) and all(is_number(name) and isinstance(end, int) for name, end in ends.items())
