"""A standalone Spark cluster of real processes on this machine: a master, and workers that know nothing of this checkout."""

import os
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import psutil
import pyspark

from settings import Settings
from stack.server import free_port
from tests.integration.application import Application

_SPARK: Final = Path(pyspark.__file__).parent
_HOST: Final = "127.0.0.1"
_EXECUTOR: Final = "CoarseGrainedExecutorBackend"


class Worker:
    """A worker in a folder of its own."""

    def __init__(self, folder: Path, process: "subprocess.Popen[bytes]") -> None:
        self.folder = folder
        self._process = process

    def executors(self) -> list[psutil.Process]:
        """The JVMs of its executors."""
        with suppress(psutil.NoSuchProcess):
            children = psutil.Process(self._process.pid).children()
            return [child for child in children if _EXECUTOR in " ".join(_command(child))]
        return []

    def daemons(self) -> list[psutil.Process]:
        """The Python processes from which its executors' workers are forked."""
        found = [child for executor in self.executors() for child in executor.children()]
        return [child for child in found if "jobs.worker_daemon" in _command(child)]

    def kill(self) -> None:
        """SIGKILL it. Its executors end by themselves when they notice."""
        self._process.kill()
        self._process.wait()


class Cluster:
    """The master and its workers. Workers share /tmp, and nothing else: each has a working folder, where its executors run."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.scratch = folder / "tmp"
        self.scratch.mkdir(parents=True)
        self._processes: list[subprocess.Popen[bytes]] = []
        self._port = free_port()
        self.url = f"spark://{_HOST}:{self._port}"
        self._start("master", "master.Master", "--port", str(self._port))
        self._wait_for_master()

    def add_worker(self, cores: int = 2) -> Worker:
        """One more worker."""
        name = f"worker-{len(self._processes)}"
        folder = self._folder / name
        flags = "--cores", str(cores), "--memory", "1g", "--work-dir", str(folder / "work")
        return Worker(folder, self._start(name, "worker.Worker", *flags, self.url))

    def _start(self, name: str, kind: str, *flags: str) -> "subprocess.Popen[bytes]":
        folder = self._folder / name
        folder.mkdir()
        inherited = {
            n: v for n, v in os.environ.items() if not n.startswith(("PYTHON", "PYSPARK", "SPARK", "SCORELINE"))
        }
        own = {
            "SPARK_HOME": str(_SPARK),
            "SPARK_LOCAL_IP": _HOST,
            "SPARK_LOCAL_DIRS": str(self.scratch),
            "SPARK_DAEMON_MEMORY": "256m",
            "SPARK_DAEMON_JAVA_OPTS": "-XX:TieredStopAtLevel=1",
        }
        command = [str(_SPARK / "bin" / "spark-class"), f"org.apache.spark.deploy.{kind}", "--host", _HOST]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [*command, "--webui-port", "0", *flags],
                cwd=folder,
                env=inherited | own,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._processes.append(process)
        return process

    def _wait_for_master(self) -> None:
        deadline = time.monotonic() + 60
        while True:
            with suppress(OSError), socket.create_connection((_HOST, self._port), 1):
                return
            assert time.monotonic() < deadline, (self._folder / "master" / "log").read_text()
            time.sleep(0.2)

    def logs(self) -> str:
        """The last lines of the workers and of all executors, for the message of a test that fails."""
        files = [*self._folder.glob("worker-*/log"), *self._folder.glob("worker-*/work/*/*/stderr")]
        return "\n".join(f"== {file}\n{file.read_text(errors='replace')[-1500:]}" for file in files)

    def flags(self) -> list[str]:
        """What a job's driver is told so that all stays on this machine."""
        confs = "driver.host", "driver.bindAddress"
        flags = [f"spark.{name}={_HOST}" for name in confs]
        flags += ["spark.executor.extraJavaOptions=-XX:TieredStopAtLevel=1"]
        return ["--master", self.url, *(part for flag in flags for part in ("--conf", flag))]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            print(self.logs(), file=sys.stderr)
        below = []
        for process in self._processes:
            with suppress(psutil.NoSuchProcess):
                below += psutil.Process(process.pid).children(recursive=True)
            process.kill()
            process.wait()
        for left in [one for one in below if one.is_running()]:
            with suppress(psutil.NoSuchProcess):
                left.kill()
        psutil.wait_procs(below, timeout=30)


def on_cluster(settings: Settings) -> Settings:
    """With as many state partitions as both workers have cores, and small micro-batches."""
    changed = {"state_partitions": 4, "max_offsets_per_trigger": 700, "publish_interval_seconds": 1.0}
    return settings.model_copy(update=changed)


def newest_commit(settings: Settings) -> int:
    """Of detect; -1 before the first."""
    commits = Path(settings.checkpoint, "detect", "commits").glob("*")
    return max((int(path.name) for path in commits if path.name.isdigit()), default=-1)


def wait_for_executor(worker: Worker, killed: int, application: Application) -> None:
    """Until a worker has an executor in place of the one that was killed."""
    application.wait_until(
        lambda: any(one.pid != killed for one in worker.executors()), "a new executor on the same worker"
    )


def _command(process: psutil.Process) -> list[str]:
    with suppress(psutil.Error):
        return process.cmdline()
    return []
