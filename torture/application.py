"""The real application, kept running: started again at once whenever it has ended, for whatever reason."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec
import psutil

from settings import Settings

ROOT: Final = Path(__file__).resolve().parents[1]
SUBMIT: Final = (sys.executable, "-m", "jobs", "submit", "--conf", "spark.ui.enabled=false")
_PAUSE_SECONDS: Final = 1.0


class Ended(msgspec.Struct):
    """An unexpected end: exit status, seconds since its start, and the last lines that it wrote."""

    status: int
    seconds: float
    said: str


class Application:
    """`python -m jobs submit` in a process group of its own, and what starts it again."""

    def __init__(self, settings: Settings, command: tuple[str, ...] = SUBMIT) -> None:
        self._settings = settings
        self._output = settings.log_dir / "console.log"
        settings.log_dir.mkdir(parents=True, exist_ok=True)
        self._command = command
        self._ending, self._killed = threading.Event(), threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._groups: list[int] = []
        self.starts = 0
        self.ended_by_itself: list[Ended] = []
        self._keeper = threading.Thread(target=self._keep, daemon=True, name="application")

    def start(self) -> None:
        """Begin to keep it running."""
        self._keeper.start()

    @property
    def root(self) -> psutil.Process | None:
        """The driver's JVM (in its first second the command that becomes it); None between two runs."""
        try:
            return psutil.Process(self._process.pid) if self._process and self._process.poll() is None else None
        except psutil.NoSuchProcess:
            return None

    def processes(self, kind: str) -> list[psutil.Process]:
        """Its Python processes: `driver`, `daemon` (which forks the workers) or `worker`."""
        root = self.root
        try:
            children = root.children(recursive=True) if root else []
        except psutil.NoSuchProcess:
            return []
        return [process for process in children if _kind(process, root) == kind]

    def kill(self) -> bool:
        """SIGKILL the JVM; False where none is running."""
        root = self.root
        if root is not None:
            self._killed.set()
            root.kill()
        return root is not None

    def kill_python(self, process: psutil.Process, ends_it: bool) -> None:
        """SIGKILL one of its Python processes; `ends_it`: the application cannot go on without."""
        if ends_it:
            self._killed.set()
        process.kill()

    def stop(self, seconds: float) -> int | None:
        """SIGTERM, and the exit status; None where it had to be killed after so long."""
        self._ending.set()
        self._keeper.join(10)
        process = self._process
        if process is None or process.poll() is not None:
            return None if process is None else process.returncode
        process.send_signal(signal.SIGTERM)
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def sweep(self) -> list[str]:
        """Kill what is left of it, and of its earlier runs; returns the command lines of those processes."""
        self._ending.set()
        self._keeper.join(10) if self._keeper.ident else None
        if self._process is not None:
            self._process.poll()  # reaps it, if it has ended
        left = [process for process in psutil.process_iter() if _session_of(process.pid) in self._groups]
        commands = []
        for process in left:
            with suppress(psutil.NoSuchProcess):
                commands.append(f"{process.status()}: {' '.join(process.cmdline())[:200]}")
                process.kill()
        psutil.wait_procs(left, timeout=10)
        if self._process is not None:
            self._process.wait()
        return commands

    def _keep(self) -> None:
        while not self._ending.is_set():
            self._killed.clear()
            began = time.monotonic()
            with self._output.open("ab") as output:
                self._process = subprocess.Popen(
                    self._command,
                    cwd=ROOT,
                    env=os.environ | self._settings.environment(),
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            self._groups.append(self._process.pid)
            self.starts += 1
            while self._process.poll() is None:
                if self._ending.wait(0.1):
                    return
            if not self._killed.is_set():
                ended = Ended(self._process.returncode, time.monotonic() - began, self._last_lines())
                self.ended_by_itself.append(ended)
                self._ending.wait(_PAUSE_SECONDS)

    def _last_lines(self) -> str:
        return self._output.read_text(errors="replace")[-600:] if self._output.exists() else ""


def _kind(process: psutil.Process, root: psutil.Process | None) -> str:
    try:
        command = process.cmdline()
        if not command or "python" not in Path(command[0]).name:
            return "other"
        if "daemon" not in " ".join(command):
            return "driver"
        return "daemon" if root is not None and process.ppid() == root.pid else "worker"
    except psutil.Error:
        return "other"


def _session_of(pid: int) -> Any:
    try:
        return os.getsid(pid)
    except (ProcessLookupError, PermissionError):
        return None
