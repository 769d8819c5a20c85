"""How each query is, in a file of its own that every user may read: state, failures, micro-batch, model."""

import os
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec

STALE_SECONDS: Final = 30.0
"""A file that was not renewed for so long is of an application that no longer runs."""

HEALTH: Final = "health"
"""The folder of the files."""

Offsets = dict[str, dict[str, int]]


class Health(msgspec.Struct):
    """Of one query. Times are seconds since 1970; offsets: of the micro-batch that is meant, by topic and partition.

    state: starting, running, failing (it is started again and again), stalled (its micro-batch does not end), stopped
    (by a signal), or ended (by what no further attempt can fix).
    """

    query: str
    state: str
    since: float
    heartbeat: float
    pid: int
    attempts: int = 0
    failing_since: float | None = None
    cause: str | None = None
    micro_batch: int | None = None
    offsets: Offsets | None = None
    committed: int | None = None
    committed_at: float | None = None
    facts: dict[str, Any] = {}


class HealthFile:
    """Keeps a query's health and writes it to its file: at each change of its state, and by `beat`."""

    def __init__(self, folder: Path, query: str, pid: int) -> None:
        self._path = folder / f"{query}.json"
        self._lock = threading.Lock()
        now = time.time()
        self.health = Health(query, "starting", now, now, pid)
        folder.mkdir(parents=True, exist_ok=True)
        self.beat()

    def change(self, **changes: Any) -> None:
        """Set some of the fields, and write the file where the state is another one."""
        with self._lock:
            before = self.health.state
            for name, value in changes.items():
                setattr(self.health, name, value)
            if self.health.state != before:
                self.health.since = time.time()
        if self.health.state != before:
            self.beat()

    def beat(self) -> None:
        """Write the file, whole or not at all. A folder that is gone is not made again: then the checkpoint is gone."""
        with self._lock, suppress(OSError):
            self.health.heartbeat = time.time()
            new = self._path.with_suffix(f".{os.getpid()}.new")
            new.write_bytes(msgspec.json.encode(self.health))
            new.replace(self._path)


def read_health(folder: Path, query: str) -> Health | None:
    """What was written last; None where nothing was, or nothing that can be read."""
    path = folder / f"{query}.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=Health) if path.is_file() else None
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None
