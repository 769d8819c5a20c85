"""Brings a run to the point at which traffic may begin: history, model, servers and the job."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Final

from demo.errors import DemoError, first_cause
from demo.folder import LIVE_START, Origin
from demo.programs import POLL_SECONDS
from demo.stages import Say, Stages
from demo.world import World
from messaging.topics import create_topics
from settings import Settings
from stack.errors import InfluxDBUnavailable
from stack.influxd import influxd
from stack.jars import broker_jars, connector_jars
from stack.java import java

HISTORY_DAYS: Final = 14
PARTITIONS: Final = 4
FIRST_COMMIT_SECONDS: Final = 240.0


def fetch_programs(world: World) -> None:
    """Brings what a first run has to download or build; shows its own progress. Raises StackError where Java is missing."""
    java()
    broker_jars()
    connector_jars()
    if world.stack.influxdb in world.stack.servers:
        with suppress(InfluxDBUnavailable):  # reported when the servers have started without it
            influxd()


def start_servers_and_train(world: World, origin: Origin, stages: Stages) -> None:
    """Servers and topics here, history and model at the same time in a thread; those are kept where they serve again."""
    kept = world.folder.begin(origin)
    abandoned = threading.Event()
    with stages.shown(), ThreadPoolExecutor(1, "preparation") as pool:
        training = pool.submit(_history_and_model, world, origin, kept, stages, abandoned)
        with _set_unless_done(abandoned):
            _start_servers(world, stages)
            while not training.done():  # not result(): a signal has to get through
                time.sleep(POLL_SECONDS)
            training.result()


@contextmanager
def _set_unless_done(abandoned: threading.Event) -> Iterator[None]:
    try:
        yield
    except BaseException:
        abandoned.set()
        raise


def _start_servers(world: World, stages: Stages) -> None:
    with stages.stage("Kafka and InfluxDB") as say:
        world.stack.start()
        create_topics(world.settings(), PARTITIONS)
        say(_servers_in_words(world))


def _servers_in_words(world: World) -> str:
    stack = world.stack
    kafka = f"Kafka on port {stack.kafka.port}"
    if stack.without_influxdb is not None:
        return f"{kafka}; no InfluxDB, so points go to {world.folder.points}: {stack.without_influxdb}"
    if stack.influxdb not in stack.servers:
        return f"{kafka}, InfluxDB at {os.environ['INFLUXDB_URL']}"
    return f"{kafka}, InfluxDB on port {stack.influxdb.port}"


def _history_and_model(world: World, origin: Origin, kept: bool, stages: Stages, abandoned: threading.Event) -> None:
    folder = world.folder
    if kept:
        with stages.stage("history and model") as say:
            say("kept from an earlier run with the same seed")
        return
    registry = {"MLFLOW_TRACKING_URI": world.stack.mlflow.database_uri}
    with stages.stage("history") as say:
        say(f"simulating {HISTORY_DAYS} days of {origin.customers:,} customers")
        made = ["--customers", str(origin.customers), "--days", str(HISTORY_DAYS), "--seed", str(origin.seed)]
        when = ["--live-start", LIVE_START.isoformat()]
        world.history.start(["generator", "history", "--out", str(folder.history), *made, *when], {})
        world.history.wait(abandoned)
        say(f"{first_words(world.history.output)} of {origin.customers:,} customers in {HISTORY_DAYS} days")
    if abandoned.is_set():
        return
    with stages.stage("model") as say:
        say("folding the history, fitting an Isolation Forest without labels")
        flags = ["--promote", "--state-out", str(folder.state)]
        world.training.start(["ml", "train", str(folder.history), *flags], registry)
        world.training.wait(abandoned)
        say(world.training.output.strip().splitlines()[-1])
    if not abandoned.is_set():
        folder.prepared(origin)


def first_words(output: str) -> str:
    """What the generator says of a history, up to its count.

    >>> first_words("2,089,289 transactions of 50,000 customers in 14 days")
    '2,089,289 transactions'
    """
    return " ".join(output.split()[:2])


def start_job(world: World, settings: Settings, stages: Stages) -> None:
    """spark-submit, until the first micro-batch is committed. Raises DemoError where the job ends before, or takes too long."""
    with stages.shown(), stages.stage("the job") as say:
        world.job.start(["jobs", "submit", "--conf", "spark.ui.enabled=false"], settings.environment())
        _await_first_commit(world, say)
        say("spark-submit jobs/detect.py has committed its first micro-batch")


def _await_first_commit(world: World, say: Say) -> None:
    detect = world.folder.checkpoint / "detect"
    steps: list[tuple[Callable[[], bool], str]] = [
        ((detect / "commits" / "0").exists, ""),
        ((detect / "offsets" / "0").exists, "taking in the customers' past, first micro-batch"),
        ((world.folder.checkpoint / "settings").exists, "planning the queries"),
        ((world.folder.logs / "detect.log").exists, "starting a Spark session"),
        (lambda: True, "spark-submit"),
    ]
    deadline = time.monotonic() + FIRST_COMMIT_SECONDS
    while not steps[0][0]():
        world.check()
        if time.monotonic() > deadline:
            raise DemoError(
                f"The job has not committed its first micro-batch within {FIRST_COMMIT_SECONDS:.0f} s; it said last: "
                f"{first_cause(world.job.output)}. See {world.folder.logs}."
            )
        say(next(text for reached, text in steps if reached()))
        time.sleep(POLL_SECONDS)
