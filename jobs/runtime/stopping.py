"""`python -m jobs stop`: ends what runs on the checkpoints and other data of a folder, before they are deleted."""

import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

import psutil

from jobs.runtime.claim import LOCKS, holder_of, is_held
from jobs.runtime.ending import LIMIT_SECONDS

PATIENCE_SECONDS: Final = LIMIT_SECONDS + 16
_ROOT: Final = Path(__file__).resolve().parents[2]
_NAMES: Final = {
    "page": "the page",
    "serving": "the service",
    "serve": "the service",
    "notifications": "the notifier",
    "notify": "the notifier",
    "watch": "the watcher",
    "demo": "the demo",
    "generator send": "the generator",
    "generate": "the generator",
    "generator replay": "a replay",
    "replay": "a replay",
}
"""What our programs are, by their package, its command, or their name as commands of `scoreline`."""

_SPARK_SUBMIT: Final = "org.apache.spark.deploy.SparkSubmit"
_OTHERS: Final = {"stack", "jobs", "submit", "status", "stop", "state", "jars", "explain"}
"""Servers, which `python -m stack down` stops; jobs, which are found by their locks; and what only reads."""


class Running(NamedTuple):
    """Something that runs: what it is, as a text, and the process that a signal goes to; None where it runs elsewhere."""

    what: str
    pid: int | None


def running_under(folder: Path) -> list[Running]:
    """What runs on a folder's data: jobs with a checkpoint below it, wherever they run from, and our other programs.

    Of these, those that were started beside the folder, where it is what they use by default, or have a file open in it.
    """
    found = []
    for lock in sorted(folder.glob(f"**/{LOCKS}/*")):
        checkpoint, query = lock.parent.parent, lock.name
        if not lock.suffix and is_held(checkpoint, query):
            holder = holder_of(checkpoint, query)
            by = "" if holder is None else f" ({holder})"
            pid = holder.pid if holder is not None and holder.here else None
            found.append(Running(f"{query} on the checkpoint {checkpoint}{by}", pid))
    return [*found, *_programs(folder.absolute(), {one.pid for one in found})]


def _programs(folder: Path, known: set[int | None]) -> Iterator[Running]:
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            what = _program(process.cmdline()) or _job(process)
            if what is not None and process.pid not in known | {os.getpid()} and _uses(process, folder):
                yield Running(f"{what} (process {process.pid})", process.pid)


def _program(words: Sequence[str]) -> str | None:
    """Which of our programs a command line is, in words; None where it is none of them."""
    if not words or not Path(words[0]).name.startswith("python"):
        return None
    at = next((k for k, word in enumerate(words[1:], 1) if word == "-m" or not word.startswith("-")), len(words))
    name, command = " ".join(words[at + 1 : at + 2]), " ".join(words[at + 1 : at + 3])
    ours = name and words[at] == "-m" and (_ROOT / name / "__main__.py").is_file()
    if not ours and not (name and Path(words[at]).name == "scoreline"):
        return None
    return None if name in _OTHERS else _NAMES.get(command) or _NAMES.get(name) or f"`{command}`"


def _job(process: psutil.Process) -> str | None:
    """A job without a lock below the folder, as while it starts: spark-submit, and Java in its place, which starts Python."""
    return "a job" if _runs_job(process) else None


def _runs_job(process: psutil.Process) -> bool:
    words = process.cmdline()
    submits = any(word == _SPARK_SUBMIT or Path(word).name in ("spark-submit", "spark-class") for word in words)
    return submits and any(Path(word).parent == _ROOT / "jobs" and word.endswith(".py") for word in words)


def _uses(process: psutil.Process, folder: Path) -> bool:
    if Path(process.cwd()) == folder.parent:
        return True
    return any(Path(file.path).is_relative_to(folder) for file in process.open_files())


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
