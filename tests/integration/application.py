"""The real application as a process: spark-submit of the detection job, to be killed, stopped and started again by tests."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from settings import Settings

ROOT = Path(__file__).parents[2]


class Application:
    """`python -m jobs submit` with a test's settings, in a process group of its own."""

    def __init__(self, settings: Settings, *flags: str) -> None:
        self._settings = settings
        self._output = settings.log_dir / "console.log"
        settings.log_dir.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "jobs", "submit", "--conf", "spark.ui.enabled=false", *flags]
        with self._output.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=os.environ | settings.environment(),
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        """All that the application has written on its console."""
        return self._output.read_text()

    @property
    def log(self) -> str:
        """The application's own log file."""
        path = self._settings.log_dir / "detect.log"
        return path.read_text() if path.exists() else ""

    def wait_until(self, reached: Callable[[], bool], what: str, seconds: float = 300) -> None:
        """Poll until `reached()`; fails when that takes too long, or the application has ended."""
        deadline = time.monotonic() + seconds
        while not reached():
            assert self._process.poll() is None, f"the application ended before {what}:\n{self.output[-3000:]}"
            assert time.monotonic() < deadline, (
                f"{what} did not come in {seconds} s:\n{self.output[-2000:]}\n{self.log[-3000:]}"
            )
            time.sleep(0.2)

    def wait_for_commit(self, micro_batch: int = 0) -> None:
        """Until detect has committed a micro-batch."""
        commit = Path(self._settings.checkpoint) / "detect" / "commits" / str(micro_batch)
        self.wait_until(commit.exists, f"the commit of micro-batch {micro_batch}")

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        """Of the JVM that spark-submit runs in."""
        return self._process.pid

    def workers(self) -> list[psutil.Process]:
        """The Python processes in which Spark's tasks work, and the one that they are forked from."""
        below = psutil.Process(self._process.pid).children(recursive=True)
        return [one for one in below if "jobs.worker_daemon" in one.cmdline()]

    def seconds_to_stop(self) -> tuple[float, int]:
        """SIGTERM; how long it took to end, and the exit status."""
        begin = time.monotonic()
        status = self.stop()
        return time.monotonic() - begin, status

    def kill(self) -> None:
        """SIGKILL the JVM, as a machine that is lost would; its Python processes end by themselves."""
        children = psutil.Process(self._process.pid).children(recursive=True)
        self._process.kill()
        self._process.wait()
        _, alive = psutil.wait_procs(children, timeout=30)
        assert not alive, f"left behind: {alive}"

    def kill_python(self) -> None:
        """SIGKILL the driver's Python process; the JVM has nothing to do then, and ends."""
        children = psutil.Process(self._process.pid).children(recursive=True)
        for child in psutil.Process(self._process.pid).children():
            with suppress(psutil.ZombieProcess):
                if any(word.endswith("jobs/detect.py") for word in child.cmdline()):
                    child.kill()
        assert self._process.wait(60) != 0
        _, alive = psutil.wait_procs(children, timeout=30)
        assert not alive, f"left behind: {alive}"

    def stop(self) -> int:
        """SIGTERM, and the exit status that follows."""
        self._process.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self, seconds: float = 300) -> int:
        """The exit status, once it has ended by itself."""
        return self._process.wait(seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


def status_of(settings: Settings, *flags: str) -> tuple[int, str]:
    """(exit status, what it printed)."""
    command = [sys.executable, "-m", "jobs", "status", *flags]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | settings.environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout
