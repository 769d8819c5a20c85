"""`python -m jobs stop`: ends what runs on checkpoints and topics of this folder, before its data is deleted."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

import psutil

from jobs.runtime.claim import LOCKS, holder_of, is_held
from jobs.runtime.ending import LIMIT_SECONDS

PATIENCE_SECONDS: Final = LIMIT_SECONDS + 16
_PROGRAMS: Final = {("-m", "generator", "send"): "the generator", ("-m", "generator", "replay"): "a replay"}


class Running(NamedTuple):
    """Something that runs: what it is, as a text, and the process that a signal goes to; None where it runs elsewhere."""

    what: str
    pid: int | None


def running_under(folder: Path) -> list[Running]:
    """The jobs with a checkpoint below a folder, wherever they run from, and the senders that were started beside it."""
    found = []
    for lock in sorted(folder.glob(f"**/{LOCKS}/*")):
        checkpoint, query = lock.parent.parent, lock.name
        if not lock.suffix and is_held(checkpoint, query):
            holder = holder_of(checkpoint, query)
            by = "" if holder is None else f" ({holder})"
            pid = holder.pid if holder is not None and holder.here else None
            found.append(Running(f"{query} on the checkpoint {checkpoint}{by}", pid))
    return [*found, *_senders(folder.absolute().parent)]


def _senders(home: Path) -> Iterator[Running]:
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            words = process.cmdline()
            for program, what in _PROGRAMS.items():
                if tuple(words[1:4]) == program and Path(process.cwd()) == home:
                    yield Running(f"{what} (process {process.pid})", process.pid)


def stop(found: list[Running]) -> list[Running]:
    """SIGTERM to each, and wait until all are gone; returns those that are not. Raises PermissionError."""
    for pid in {one.pid for one in found if one.pid is not None}:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + PATIENCE_SECONDS
    left = found
    while left and time.monotonic() < deadline:
        time.sleep(0.2)
        left = [one for one in left if _alive(one.pid)]
    return left


def _alive(pid: int | None) -> bool:
    if pid is None:
        return True
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
