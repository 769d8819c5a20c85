"""Runs the long steps in a process of their own, which outlives the watcher and never works twice at once."""

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

import msgspec
from filelock import FileLock, Timeout

from ml.one_line import one_line
from settings import Settings
from watch.doing import Outcome
from watch.journal import Folder
from watch.state import Open

LOCK: Final = "work.lock"
LOG: Final = "work.log"
BUSY: Final = 75
"""The exit status of a process that found another one at work: of a watcher before, which was killed while it began."""


class Worker(Protocol):
    """Does long steps beside the watcher."""

    def poll(self, work: Open) -> Outcome | None:
        """What became of a step; None while it goes on. It is started where nobody works on it."""

    def stop(self) -> None:
        """The watcher ends: nothing is started any more."""


def result_file(work: Open) -> str:
    """The name of the file that says what became of a step."""
    return f"work-{work.id}-{work.time}.json"


@dataclass
class ProcessWorker:
    """`python -m watch work`, one at a time, at low priority. It goes on where the watcher is killed, and is found again."""

    folder: Folder
    settings: Settings
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _attempts: int = field(default=0, init=False)

    def poll(self, work: Open) -> Outcome | None:
        """See `Worker`."""
        if (found := _result(self.folder.path / result_file(work))) is not None:
            self._ended()
            return found
        if self._process is not None:
            status = self._process.poll()
            if status is None:
                return None
            self._process = None
            if (found := _result(self.folder.path / result_file(work))) is not None:
                return found
            if status == BUSY:
                return None
            return Outcome("failed", f"its process ended with status {status}: see {self.folder.path / LOG}")
        if not self._at_work():
            self._start(work)
        return None

    def stop(self) -> None:
        """See `Worker`: the process that works goes on, and its result is found by the next watcher."""
        self._process = None

    def _ended(self) -> None:
        if self._process is not None:
            self._process.wait(30)
            self._process = None

    def _at_work(self) -> bool:
        """Whether a process of an earlier watcher is still working."""
        lock = FileLock(self.folder.path / LOCK)
        try:
            with lock.acquire(timeout=0):
                return False
        except Timeout:
            return True

    def _start(self, work: Open) -> None:
        command = [sys.executable, "-m", "watch", "work", "--folder", str(self.folder.path), work.id]
        with (self.folder.path / LOG).open("wb") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **self.settings.environment(), "OMP_NUM_THREADS": "1"},
                start_new_session=True,
            )


def work_alone(folder: Folder, work: Open, outcome: Outcome) -> None:
    """Write what became of a step, durably."""
    folder.write(result_file(work), msgspec.json.encode(outcome._asdict()))


def _result(file: Path) -> Outcome | None:
    try:
        return Outcome(**msgspec.json.decode(file.read_bytes(), type=dict))
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError, TypeError) as error:
        return Outcome("failed", f"{file} can't be read: {one_line(error)}")
