"""A program that the benchmark runs: in a session of its own, its output in a file, ended with all that it started."""

import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from bench.errors import BenchError
from programs.output import first_cause
from stack.process import RecordedProcess

ROOT: Final = Path(__file__).resolve().parents[1]
PYTHON: Final = (sys.executable, "-m")

_POLL_SECONDS: Final = 0.05


class Running:
    """One process and its descendants."""

    def __init__(self, name: str, folder: Path, command: Sequence[str], environment: Mapping[str, str]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.name = name
        self.log = folder / f"{name}.log"
        self._process = RecordedProcess(folder / f"{name}.json", self.log)
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        self._process.start(list(command), {**environment, "PYTHONPATH": path})

    @property
    def pid(self) -> int | None:
        """None once it has ended."""
        found = self._process.find()
        return found.pid if found else None

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def check(self) -> None:
        """Raises BenchError where it has ended by itself."""
        if self.pid is None:
            raise BenchError(f"{self.name} has ended: {first_cause(self.output)} (its output is in {self.log})")

    def wait(self) -> str:
        """Until it has ended: its output. Raises BenchError where it ended with another status than 0."""
        while self.pid is not None:
            time.sleep(_POLL_SECONDS)
        if self._process.exit_status not in (0, None):
            raise BenchError(f"{self.name} failed: {first_cause(self.output)} (its output is in {self.log})")
        return self.output

    def end(self, patience_seconds: float) -> None:
        """Asks it to end, kills it after so long, and sweeps up what it has left behind, such as Python workers."""
        self._process.end(patience_seconds)
