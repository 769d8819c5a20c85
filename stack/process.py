"""A process that outlives the command that started it, known again by its record in a file."""

import json
import os
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil

_SWEEP_SECONDS: Final = 5


class RecordedProcess:
    """Starts a process in a session of its own, so that Ctrl-C in a terminal does not reach it, and ends it later.

    The record holds the process id and when the process started, so that another process which got the same id by
    chance is never taken for this one.
    """

    def __init__(self, record: Path, log: Path) -> None:
        self._record = record
        self._log = log
        self._child: subprocess.Popen[bytes] | None = None
        self._session: int | None = None  # of what this object started; its number is the process's own
        # Of a process that this object started, once `find` saw that it ended by itself.
        self.exit_status: int | None = None

    def start(self, command: list[str], environment: dict[str, str] | None = None) -> None:
        """Runs the command in the record's folder, with additions to the environment; its output is appended to the log."""
        with self._log.open("ab") as log:
            self._child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._record.parent,
                env=os.environ | (environment or {}),
                start_new_session=True,
            )
        pid = self._session = self._child.pid
        self._record.write_text(json.dumps({"pid": pid, "started": _started(psutil.Process(pid))}))

    def find(self) -> psutil.Process | None:
        """The process, if it still runs."""
        if self._child is not None:
            if self._child.poll() is None:
                return psutil.Process(self._child.pid)
            self.exit_status = self._child.returncode
            self._child = None
        try:
            record = json.loads(self._record.read_text())
            process = psutil.Process(record["pid"])
            return process if abs(_started(process) - record["started"]) < 1 else None
        except (FileNotFoundError, psutil.NoSuchProcess):
            return None

    def end(self, patience_seconds: float) -> bool:
        """Asks the process to end, and kills it when it has not after that long; False when it did not run."""
        family = self._family()
        if family:
            with suppress(psutil.NoSuchProcess):
                family[0].terminate()
            _, left = psutil.wait_procs(family, timeout=patience_seconds)
            self._kill(left)
        self._sweep()
        self._record.unlink(missing_ok=True)
        return bool(family)

    def kill(self) -> bool:
        """Ends the process without a warning, as a crash would; False when it did not run."""
        family = self._family()
        if family:
            self._kill(family)
        self._sweep()
        self._record.unlink(missing_ok=True)
        return bool(family)

    def _family(self) -> list[psutil.Process]:
        """The process and its descendants; none when it does not run."""
        process = self.find()
        try:
            return [process, *process.children(recursive=True)] if process else []
        except psutil.NoSuchProcess:
            return []

    def _sweep(self) -> None:
        """Kills what it has left behind in its session, such as the Python workers of a Spark that was killed."""
        if self._session is None:
            return
        left = [process for process in psutil.process_iter() if _session_of(process.pid) == self._session]
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(left, timeout=_SWEEP_SECONDS)
        self._session = None

    def _kill(self, processes: list[psutil.Process]) -> None:
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(processes)
        if self._child is not None:
            self._child.wait()


def _session_of(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except (ProcessLookupError, PermissionError):
        return None


def _started(process: psutil.Process) -> float:
    """Seconds from boot to the process's start: unlike a time of day, the same after the clock was set."""
    return process.create_time() - psutil.boot_time()
