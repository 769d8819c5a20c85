"""The demo's own processes: history, training, the job and the generator, each `python -m` of a package of this project."""

import os
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil

from demo.errors import ended_badly
from demo.folder import ROOT
from stack.process import RecordedProcess

POLL_SECONDS: Final = 0.1
_LAST: Final = ("nice", "-n", "5")


class Program:
    """One process in a session of its own, so that Ctrl-C in the terminal reaches it only through us.

    It is recorded in its folder: a demo that was killed itself finds and ends it at the next start.
    """

    def __init__(self, name: str, folder: Path, log: Path) -> None:
        self.name = name
        self.log = log
        self._folder = folder / name
        self._process = RecordedProcess(self._folder / "process.json", log)

    def start(self, arguments: list[str], environment: Mapping[str, str], last: bool = False) -> None:
        """Runs `python -m` with these arguments, in a folder of its own, with additions to the environment.

        last: it gets the processor's time that the others leave.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        command = [*(_LAST if last else ()), sys.executable, "-m", *arguments]
        self._process.start(command, {**environment, "PYTHONPATH": path})

    @property
    def running(self) -> bool:
        return self._process.find() is not None

    @property
    def exit_status(self) -> int | None:
        """Of a process that has ended by itself; a negative one is a signal's number."""
        return self._process.exit_status

    @property
    def output(self) -> str:
        """All that it has written on its console."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def wait(self, abandoned: threading.Event) -> None:
        """Wait until it has ended, or `abandoned` is set. Raises DemoError, with its reason, where it has failed."""
        while self.running and not abandoned.wait(POLL_SECONDS):
            pass
        self.check_ended_well()

    def check_ended_well(self) -> None:
        """Raises DemoError where it has ended by itself with another status than 0."""
        if self.exit_status not in (0, None):
            raise ended_badly(f"{self.name} failed", self.log, self.exit_status)

    def terminate(self) -> None:
        """Asks it to end, and returns at once."""
        process = self._process.find()
        if process is not None:
            with suppress(psutil.NoSuchProcess):
                process.terminate()

    def end(self, patience_seconds: float) -> None:
        """Asks it to end, waits so long, and kills what is left of it."""
        self._process.end(patience_seconds)

    def kill(self) -> None:
        """Ends it and all that it started, at once."""
        self._process.kill()


def kill_descendants() -> None:
    """Kills every process that this one, or one that it started, has started and that still runs."""
    left = psutil.Process().children(recursive=True)
    for process in left:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(left, timeout=5)
