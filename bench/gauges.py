"""CPU time and memory of every process, by what it is, read at intervals while something runs."""

import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import suppress
from threading import Event
from typing import Final

import msgspec
import numpy as np
import psutil

from bench.figures import Window, difference
from programs.background import Background

CPU_SECONDS: Final = 0.5
MEMORY_EVERY: Final = 10

KAFKA, INFLUXDB = "Kafka", "InfluxDB"
JVM, WORKERS, PYTHON = "driver JVM", "Python workers", "Python process"


class Reading(msgspec.Struct):
    """At a time: CPU seconds used so far, and bytes of memory, each by process. memory is empty where it was not read."""

    time_ms: int
    cpu_seconds: dict[str, float]
    memory_bytes: dict[str, int] = {}


class Gauges(Background):
    """servers: name → id of each server's process, None where it does not run. system: the id of what is measured.

    The system's process tree is split by what its processes are; memory is the proportional set size (PSS) where the
    system has it, so that pages which forked workers share count once; else the unique set size.
    """

    def __init__(self, servers: Mapping[str, int | None], system: Callable[[], int | None]) -> None:
        super().__init__()
        self.readings: list[Reading] = []
        self._servers = servers
        self._system = system

    def cpu_seconds(self, window: Window) -> dict[str, float]:
        """CPU seconds used within the window, by process."""
        return difference(self._cpu_at(window.end), self._cpu_at(window.start))

    def memory_at_most(self) -> dict[str, int]:
        """The largest memory of each process."""
        most: dict[str, int] = {}
        for reading in self.readings:
            for name, used in reading.memory_bytes.items():
                most[name] = max(used, most.get(name, 0))
        return most

    def _cpu_at(self, time_ms: int) -> dict[str, float]:
        """Between two readings, in proportion."""
        times = [reading.time_ms for reading in self.readings]
        names = {name for reading in self.readings for name in reading.cpu_seconds}
        return {
            name: float(np.interp(time_ms, times, [r.cpu_seconds.get(name, 0.0) for r in self.readings]))
            for name in sorted(names)
        }

    def work(self, stopped: Event) -> None:
        count = 0
        while not stopped.is_set():
            self.readings.append(self._read(with_memory=count % MEMORY_EVERY == 0))
            count += 1
            stopped.wait(CPU_SECONDS)

    def _read(self, with_memory: bool) -> Reading:
        cpu: dict[str, float] = defaultdict(float)
        memory: dict[str, int] = defaultdict(int)
        now = int(time.time() * 1000)
        for name, process in self._processes():
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                used = process.cpu_times()
                # What ended children have used is their parent's; living ones are counted by themselves.
                cpu[name] += used.user + used.system + used.children_user + used.children_system
                if with_memory:
                    memory[name] += _memory(process)
        return Reading(now, dict(cpu), dict(memory))

    def _processes(self) -> list[tuple[str, psutil.Process]]:
        found = []
        for name, pid in self._servers.items():
            with suppress(psutil.NoSuchProcess):
                if pid is not None:
                    found.append((name, psutil.Process(pid)))
        pid = self._system()
        with suppress(psutil.NoSuchProcess):
            if pid is not None:
                root = psutil.Process(pid)
                found += [(kind(process), process) for process in (root, *root.children(recursive=True))]
        return found


def kind(process: psutil.Process) -> str:
    try:
        command = process.cmdline()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return PYTHON
    if command and command[0].endswith("java"):
        return JVM
    module = command[2] if command[1:2] == ["-m"] else ""  # Spark's: pyspark.daemon, or what the job names instead
    return WORKERS if "daemon" in module or "worker" in module else PYTHON


def _memory(process: psutil.Process) -> int:
    full = process.memory_full_info()
    return int(getattr(full, "pss", full.uss))
