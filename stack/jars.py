"""The pinned jars of Spark's Kafka connector, of Delta tables and of the Kafka broker, fetched once, without Maven."""

import hashlib
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from stack import cache
from stack.errors import StackError
from stack.java import java

LOCK = Path(__file__).with_name("jars.lock")

_NAMES = {"connector": "Kafka connector", "broker": "Kafka broker", "lake": "lake"}


def connector_jars(report: cache.Report | None = None) -> list[Path]:
    """What `spark.jars` needs so that Spark reads and writes Kafka, and commits checkpoints without a process per file."""
    return _jars("connector", report)


def lake_jars(report: cache.Report | None = None) -> list[Path]:
    """What `spark.jars` needs besides, so that Spark writes Delta tables."""
    return _jars("lake", report)


def broker_jars(report: cache.Report | None = None) -> list[Path]:
    """The Kafka broker's class path, but for Scala, which is PySpark's."""
    return _jars("broker", report)


def _jars(wanted: str, report: cache.Report | None) -> list[Path]:
    locked: dict[str, str] = tomllib.loads(LOCK.read_text())[wanted]
    paths = {coordinate: cache.folder() / "jars" / file_name(coordinate) for coordinate in locked}
    if not all(path.exists() for path in paths.values()):
        with cache.filling("jars", report or cache.on_stderr):
            missing = {c: locked[c] for c, path in paths.items() if not path.exists()}
            if missing:
                _fetch(wanted, missing, cache.folder() / "jars", report)
    return list(paths.values())


def file_name(coordinate: str) -> str:
    """The name under which Ivy stores a jar.

    >>> file_name("org.apache.kafka:kafka-clients:3.9.2")
    'org.apache.kafka_kafka-clients-3.9.2.jar'
    """
    group, artifact, version = coordinate.split(":")
    return f"{group}_{artifact}-{version}.jar"


def _fetch(wanted: str, locked: dict[str, str], folder: Path, report: cache.Report | None) -> None:
    """Brings the jars into `folder`, each only once its SHA-256 is the locked one."""
    java()
    folder.mkdir(exist_ok=True)
    ivy = folder / f"ivy-{wanted}"  # kept after a broken download, so that the next attempt goes on from there
    log = folder / f"{wanted}.log"
    command = [sys.executable, "-m", "stack.resolve", str(ivy), *locked]
    own_spark = {name: value for name, value in os.environ.items() if name != "SPARK_HOME"}  # PySpark's, no older one
    root = Path(__file__).parents[1]
    with (
        log.open("w") as output,
        subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=root, env=own_spark
        ) as resolver,
    ):
        title, arrived = (
            f"Fetching jars of the {_NAMES[wanted]}",
            lambda: len(list((ivy / "cache").glob("*/*/jars/*.jar"))),
        )
        if report is None:
            _show_progress(resolver, title, arrived, len(locked))
        else:
            _report_progress(resolver, report, title, arrived, len(locked))
    if resolver.returncode:
        raise StackError(
            f"The jars of the {_NAMES[wanted]} could not be fetched: check the network; Ivy's reasons are in {log}."
        )
    for coordinate, sha256 in locked.items():
        admit(ivy / "jars" / file_name(coordinate), sha256, folder)
    shutil.rmtree(ivy)


def admit(jar: Path, sha256: str, folder: Path) -> None:
    """Moves a fetched jar into `folder`; one that is not the locked one is deleted, and StackError raised."""
    got = hashlib.sha256(jar.read_bytes()).hexdigest()
    if got != sha256:
        shutil.rmtree(jar.parents[1])  # Ivy's own copy too, or it would use that again
        raise StackError(
            f"{jar.name} has the SHA-256 {got}, but {LOCK} lists {sha256}: try again, and check its source."
        )
    jar.rename(folder / jar.name)


def _report_progress(
    resolver: subprocess.Popen[bytes], report: cache.Report, title: str, arrived: Callable[[], int], count: int
) -> None:
    while resolver.poll() is None:
        report(f"{title}: {arrived()} of {count}")
        with suppress(subprocess.TimeoutExpired):
            resolver.wait(0.2)


def _show_progress(resolver: subprocess.Popen[bytes], title: str, arrived: Callable[[], int], count: int) -> None:
    console = Console(stderr=True)
    if not console.is_terminal:
        console.print(f"{title} ({count}) …")
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(title, total=count)
        while resolver.poll() is None:
            progress.update(task, completed=arrived())
            with suppress(subprocess.TimeoutExpired):
                resolver.wait(0.2)
        progress.update(task, completed=count)
