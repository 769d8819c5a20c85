"""CPU and memory of a job's processes: the driver's Python, its Java, and Spark's Python workers together."""

import os
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

import psutil

from jobs.runtime.metering import families
from jobs.runtime.metering.meter import Sample

DRIVER: Final = "driver"
JAVA: Final = "java"
WORKERS: Final = "workers"


class Processes:
    """Asked at each look; workers come and go, and what those that are gone have used stays counted, as of the last look."""

    def __init__(self, jvm_pid: int) -> None:
        self._jvm_pid = jvm_pid
        self._used: dict[psutil.Process, float] = {}
        self._gone = 0.0

    def __call__(self) -> Iterator[Sample]:
        driver, java = psutil.Process(os.getpid()), psutil.Process(self._jvm_pid)
        below = java.children(recursive=True)
        # spark-submit starts Java, which starts Python; else Python starts Java.
        own = {driver, *driver.children(recursive=True)} if driver in below else set()
        workers = [each for each in below if each not in own]
        used: dict[psutil.Process, float] = {}
        for name, group in ((DRIVER, [driver]), (JAVA, [java]), (WORKERS, workers)):
            cpu, memory = 0.0, 0
            for process in group:
                with suppress(psutil.Error):  # one that ends just now
                    with process.oneshot():
                        times, resident = process.cpu_times(), process.memory_info().rss
                    cpu, memory = cpu + times.user + times.system, memory + resident
                    if name == WORKERS:
                        used[process] = times.user + times.system
            if name == WORKERS:
                self._gone += sum(seconds for process, seconds in self._used.items() if process not in used)
                self._used = used
                cpu += self._gone
            yield Sample(families.cpu, cpu, (name,))
            yield Sample(families.memory, memory, (name,))
            yield Sample(families.processes, len(group), (name,))
