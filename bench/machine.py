"""What a benchmark runs on: the machine, how busy it is, and the versions of all that takes part."""

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Final

import psutil
from rich.console import Console

from bench.errors import BenchError
from bench.programs import ROOT
from bench.result import Machine
from stack.influxd import VERSION as INFLUXDB_VERSION
from stack.jars import broker_jars, connector_jars
from stack.java import java

BUSY: Final = 0.15
TOO_BUSY: Final = 0.35
"""Shares of the whole CPU that other programs may use at the start: above the first the figures are in doubt, above the
second they are none. The load average is recorded too, but it remembers what has ended a minute ago."""

_LOOK_SECONDS: Final = 2.0
_LIBRARIES: Final = (
    *("pyspark", "numpy", "numba", "pandas", "pyarrow", "scikit-learn", "msgspec", "xxhash"),
    *("kafka-python", "confluent-kafka", "influxdb-client", "psutil"),
)


def machine() -> Machine:
    """This machine, now; looks at the CPU for two seconds."""
    versions = {"Python": platform.python_version(), **{name: version(name) for name in _LIBRARIES}}
    said = subprocess.run([java(), "-version"], capture_output=True, text=True, check=False).stderr
    versions["Java"] = said.splitlines()[0] if said else "unknown"
    versions["Kafka broker"] = _jar_version("kafka_2.13-", broker_jars())
    versions["Spark's Kafka connector"] = _jar_version("spark-sql-kafka", connector_jars())
    versions["InfluxDB"] = INFLUXDB_VERSION
    return Machine(
        cpu=_cpu_model(),
        cores=os.cpu_count() or 1,
        memory_bytes=psutil.virtual_memory().total,
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        load_average=psutil.getloadavg()[0],
        busy=psutil.cpu_percent(_LOOK_SECONDS) / 100,
        versions=versions,
        commit=_commit(),
    )


def check_load(found: Machine, console: Console, strict: bool) -> None:
    """Warns where other programs are at work; raises BenchError where they take too much and `strict`."""
    load = f"other programs use {found.busy:.0%} of the CPU (load average {found.load_average:.1f})"
    if found.busy > TOO_BUSY and strict:
        raise BenchError(
            f"a benchmark needs a machine to itself, but {load}: end them, or add --busy to measure all the same"
        )
    if found.busy > BUSY:
        console.print(
            f"Warning: {load}; the figures will be worse than on an idle machine.", style="yellow", soft_wrap=True
        )


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.processor()
    )


def _jar_version(name: str, jars: list[Path]) -> str:
    found = [path.stem.rsplit("-", 1)[1] for path in jars if name in path.name]
    return found[0] if found else "unknown"


def _commit() -> str:
    """The commit that is checked out, with a plus where files differ from it."""
    git = ["git", "-C", str(ROOT)]
    try:
        head = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True).stdout
        changed = subprocess.run([*git, "status", "--porcelain"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head.strip() + ("+" if changed.strip() else "")
