"""Brings a run to the point at which traffic may begin: history, model, servers and the job."""

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Final

from demo.environment import Environment
from demo.errors import DemoError
from demo.folder import LIVE_START, Origin
from demo.labelled import DETECTOR, Labelled, judged, scored, version_with_labels
from demo.programs import POLL_SECONDS
from demo.quality import Fraud
from demo.stages import Say, Stages
from messaging.topics import create_topics
from ml.registry.model_store import ModelStore, Note
from programs.output import first_cause
from settings import Settings
from stack.errors import InfluxDBUnavailable
from stack.influxd import influxd
from stack.jars import broker_jars, connector_jars
from stack.java import java

HISTORY_DAYS: Final = 14
PARTITIONS: Final = 4
FIRST_COMMIT_SECONDS: Final = 240.0


def start_servers_and_train(environment: Environment, origin: Origin, stages: Stages) -> None:
    """Servers and topics here, history and model at the same time in a thread; those are kept where they serve again.

    Raises StackError where Java is missing, or what a first run needs cannot be fetched.
    """
    java()
    kept = environment.folder.begin(origin)
    abandoned = threading.Event()
    with stages.shown(), ThreadPoolExecutor(1, "preparation") as pool:
        training = pool.submit(_history_and_model, environment, origin, kept, stages, abandoned)
        with _set_unless_done(abandoned):
            _start_servers(environment, stages)
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


def _start_servers(environment: Environment, stages: Stages) -> None:
    with stages.stage("Kafka and InfluxDB") as say:
        _fetch_programs(environment, say)
        environment.stack.start()
        create_topics(environment.settings(), PARTITIONS)
        say(_servers_in_words(environment))


def _fetch_programs(environment: Environment, say: Say) -> None:
    """Brings what a first run has to download or build."""
    broker_jars(say)
    connector_jars(say)
    if environment.stack.influxdb in environment.stack.servers:
        with suppress(InfluxDBUnavailable):  # reported when the servers have started without it
            influxd(say)
    say("")


def _servers_in_words(environment: Environment) -> str:
    stack = environment.stack
    kafka = f"Kafka on port {stack.kafka.port}"
    if stack.without_influxdb is not None:
        return f"{kafka}; no InfluxDB, so points go to {environment.folder.points}: {stack.without_influxdb}"
    if stack.influxdb not in stack.servers:
        return f"{kafka}, InfluxDB at {os.environ['INFLUXDB_URL']}"
    return f"{kafka}, InfluxDB on port {stack.influxdb.port}"


def _history_and_model(
    environment: Environment, origin: Origin, kept: bool, stages: Stages, abandoned: threading.Event
) -> None:
    folder = environment.folder
    if kept:
        with stages.stage("history and model") as say:
            say("kept from an earlier run with the same seed")
            begin_with_forest(ModelStore(environment.stack.mlflow.database_uri))
        return
    registry = {"MLFLOW_TRACKING_URI": environment.stack.mlflow.database_uri}
    with stages.stage("history") as say:
        say(f"simulating {HISTORY_DAYS} days of {origin.customers:,} customers")
        made = ["--customers", str(origin.customers), "--days", str(HISTORY_DAYS), "--seed", str(origin.seed)]
        when = ["--live-start", LIVE_START.isoformat()]
        environment.history.start(["generator", "history", "--out", str(folder.history), *made, *when], {})
        environment.history.wait(abandoned)
        say(f"{first_words(environment.history.output)} of {origin.customers:,} customers in {HISTORY_DAYS} days")
    if abandoned.is_set():
        return
    with stages.stage("model") as say:
        say("folding the history, fitting an Isolation Forest without labels")
        flags = ["--promote", "--no-report", "--state-out", str(folder.state)]
        environment.training.start(["ml", "train", str(folder.history), *flags], registry)
        environment.training.wait(abandoned)
        say(environment.training.output.strip().splitlines()[-1])
    if not abandoned.is_set():
        folder.prepared(origin)


def begin_with_forest(registry: ModelStore) -> None:
    """Make the version that saw no label the champion again, where an earlier run has promoted another one."""
    trial = registry.on_trial()
    if trial is not None:
        registry.withdraw(Note("demo", "a run begins"))
    forest = max(model.version for model in registry.models() if model.params.get("detector") != DETECTOR)
    if registry.champion() != forest:
        registry.promote(forest, Note("demo", "a run begins with the model that saw no label"))


def ask_with_labels(environment: Environment, frauds: Mapping[str, Fraud], stages: Stages) -> Labelled:
    """What a model finds in the traffic that learned from the history's labels; fitted once for a history, and not promoted."""
    registry = ModelStore(environment.stack.mlflow.database_uri)
    with stages.stage("a model with labels") as say:
        if version_with_labels(registry) is None:
            say(f"folding the history, fitting {DETECTOR} to the labels that had arrived")
            arguments = ["ml", "train", str(environment.folder.history), "--detector", DETECTOR]
            environment.training_with_labels.start(arguments, {"MLFLOW_TRACKING_URI": registry.uri})
            environment.training_with_labels.wait(threading.Event())
        version = version_with_labels(registry)
        if version is None:
            raise DemoError(f"No model with labels has been registered; see {environment.folder.logs}.")
        say("judging the same traffic")
        labelled = judged(scored(environment.settings()), registry.load(version), frauds)
        say(f"version {version}, {DETECTOR}: {labelled.quality.alerts:,} alerts in the same traffic")
    return labelled


def first_words(output: str) -> str:
    """What the generator says of a history, up to its count.

    >>> first_words("2,089,289 transactions of 50,000 customers in 14 days")
    '2,089,289 transactions'
    """
    return " ".join(output.split()[:2])


def start_job(environment: Environment, settings: Settings, stages: Stages) -> None:
    """spark-submit, until the first micro-batch is committed. Raises DemoError where the job ends before, or takes too long."""
    with stages.shown(), stages.stage("the job") as say:
        environment.job.start(["jobs", "submit", "--conf", "spark.ui.enabled=false"], settings.environment())
        _await_first_commit(environment, say)
        say("spark-submit jobs/detect.py has committed its first micro-batch")


def _await_first_commit(environment: Environment, say: Say) -> None:
    detect = environment.folder.checkpoint / "detect"
    steps: list[tuple[Callable[[], bool], str]] = [
        ((detect / "commits" / "0").exists, ""),
        ((detect / "offsets" / "0").exists, "taking in the customers' past, first micro-batch"),
        ((environment.folder.checkpoint / "settings").exists, "planning the queries"),
        ((environment.folder.logs / "detect.log").exists, "starting a Spark session"),
        (lambda: True, "spark-submit"),
    ]
    deadline = time.monotonic() + FIRST_COMMIT_SECONDS
    while not steps[0][0]():
        environment.check()
        if time.monotonic() > deadline:
            raise DemoError(
                f"The job has not committed its first micro-batch within {FIRST_COMMIT_SECONDS:.0f} s; it said last: "
                f"{first_cause(environment.job.output)}. See {environment.folder.logs}."
            )
        say(next(text for reached, text in steps if reached()))
        time.sleep(POLL_SECONDS)
