"""Our programs as a person starts them, against secured servers: with the secrets in a file, each in a folder of its own."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import psutil

from settings import Settings

ROOT = Path(__file__).parents[2]
MARK = "s3cr3t-MARK"
"""Each secret of these tests has it."""


def environment(settings: Settings, work: Path) -> dict[str, str]:
    """The settings, each secret in a file as a person writes it, with a newline, and a folder for all that is written."""
    said = settings.environment()
    files = work / "secret-files"
    for folder in (files, work / "tmp"):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for variable in Settings.secrets().values():
        secret = said.pop(variable, "")
        if secret:
            (files / variable).write_text(f"{secret}\n")
            said[f"{variable}_FILE"] = str(files / variable)
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("KAFKA_S", "INFLUXDB_"))}
    return clean | said | {"PYTHONPATH": str(ROOT), "COLUMNS": "300", "TMPDIR": str(work / "tmp")}


class Program:
    """A program that runs in a folder of its own; what it writes on standard output and error goes to `output`."""

    def __init__(self, arguments: str, settings: Settings, work: Path, more: Mapping[str, str] | None = None) -> None:
        work.mkdir(parents=True, exist_ok=True)
        self.output, self.logs, self.watched = work / "output", settings.log_dir, settings.watch_folder
        with self.output.open("a") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *arguments.split()],
                cwd=work,
                env=environment(settings, work) | (more or {}),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def said(self) -> str:
        """What it wrote by now, in its logs too."""
        logs = sorted(self.logs.glob("*.log")) if self.logs.exists() else []
        return "\n".join(path.read_text(errors="replace") for path in (self.output, *logs) if path.exists())

    def wait(self, seconds: float = 180) -> int:
        """Its exit status, once it has ended by itself."""
        return self.process.wait(seconds)

    def end(self) -> None:
        """SIGTERM, and SIGKILL to what is left of it."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()


def with_mark(folder: Path, allowed: Callable[[Path], bool]) -> Iterator[str]:
    """Files below the folder that hold a marked secret, but for those that are allowed to."""
    for path in folder.rglob("*"):
        try:
            if path.is_file() and not path.is_symlink() and not allowed(path) and MARK.encode() in path.read_bytes():
                yield str(path.relative_to(folder))
        except FileNotFoundError:  # deleted meanwhile
            continue


def command_lines(pids: list[int]) -> list[str]:
    """What all users of the machine see of some processes and of those that they started."""
    found = []
    for pid in pids:
        process = psutil.Process(pid)
        for one in (process, *process.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):  # a command of a script's that has ended meanwhile
                found.append(" ".join(one.cmdline()))
    return found
