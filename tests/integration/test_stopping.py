"""How the real application ends: in time, whatever hangs beside it, and with nothing lost."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import psutil
import pytest
from kafka import KafkaAdminClient

from messaging.topics import create_topics
from ml.features import FEATURES
from ml.model import Model
from ml.registry.model_store import ModelStore
from settings import Settings
from stack.local import Stack
from stack.mlflow import MLflow
from stack.server import Server
from tests.integration.application import ROOT, Application, status_of
from tests.integration.traffic import judged, judgement, messages, scores, send, traffic
from tests.support.kafka import count_records, read_topic

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(1200)]

LIMIT_SECONDS = 30

Start = Callable[..., Application]


@pytest.fixture(scope="module")
def own_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Servers that no other test uses, for they are stopped and killed here."""
    with Stack(tmp_path_factory.mktemp("own")) as running:
        yield running


@pytest.fixture
def own(settings: Settings, own_stack: Stack) -> Settings:
    """The settings of one test, on servers of its own."""
    update = {
        "kafka_bootstrap_servers": own_stack.kafka.bootstrap_servers,
        "influxdb_url": own_stack.influxdb.url,
        "influxdb_bucket": own_stack.influxdb.create_database(settings.scores_topic.split(".")[0]),
        "max_offsets_per_trigger": 500,
    }
    changed = settings.model_copy(update=update)
    create_topics(changed)
    return changed


@contextmanager
def frozen(server: Server) -> Iterator[None]:
    """A server that takes connections and answers nothing."""
    assert server.pid is not None
    os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)


@contextmanager
def gone(server: Server) -> Iterator[None]:
    server.kill()
    try:
        yield
    finally:
        server.start()


def test_a_stop_takes_less_than_half_a_minute_whatever_is_away_and_loses_nothing(
    own: Settings, own_stack: Stack, models: list[Model], start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each time in the middle of work. In the end every record has one judgement, that of an undisturbed run."""
    sent = 0
    faults = [
        ("nothing is away", nullcontext()),
        ("Kafka does not answer", frozen(own_stack.kafka)),
        ("Kafka is gone", gone(own_stack.kafka)),
        ("InfluxDB does not answer", frozen(own_stack.influxdb)),
    ]
    for seed, (name, fault) in enumerate(faults, 61):
        application = start(own)
        scored = count_records(own.kafka_bootstrap_servers, own.scores_topic)
        send(own, messages(traffic(4_000, customers=300, seed=seed)))
        sent += 4_000
        application.wait_until(
            lambda scored=scored: count_records(own.kafka_bootstrap_servers, own.scores_topic) > scored + 600, "some scores"
        )  # fmt: skip
        with fault:
            time.sleep(3)  # so that it runs into the fault
            seconds, status = application.seconds_to_stop()
        with capsys.disabled():
            print(f"\n{name}: {seconds:.1f} s to stop")
        assert seconds < LIMIT_SECONDS, name
        assert status == 0, application.output[-2000:]
        assert "Traceback" not in application.output
    last = start(own)
    last.wait_until(lambda: count_records(own.kafka_bootstrap_servers, own.scores_topic) >= sent, "all scores", 400)
    last.wait_until(lambda: len(scores(own)) == sent, "a score for each record", 400)
    assert last.stop() == 0
    expected = judged(read_topic(own.kafka_bootstrap_servers, own.transactions_topic), models[0])
    assert {place: judgement(score) for place, score in scores(own).items()} == expected


def test_a_stop_in_the_pause_before_a_restart_and_while_mlflow_hangs_takes_seconds(
    own: Settings, models: list[Model], start: Start, tmp_path: Path
) -> None:
    """In the pause: a topic that is missing makes detect fail after a minute, each time with a longer pause."""
    mlflow = MLflow(tmp_path / "mlflow")
    mlflow.start()
    try:
        registry = ModelStore(mlflow.url, own.model_name, own.model_alias)
        registry.register(models[0], np.zeros((5, len(FEATURES))))
        registry.promote(1)
        settings = own.model_copy(update={"mlflow_tracking_uri": mlflow.url, "publish": False})
        send(settings, messages(traffic(200, customers=50, seed=75)))
        application = start(settings)
        application.wait_for_commit()
        with frozen(mlflow):
            time.sleep(12)  # so that it waits for an answer
            send(settings, messages(traffic(200, customers=50, seed=76)))
            application.wait_until(
                lambda: count_records(own.kafka_bootstrap_servers, own.scores_topic) == 400, "scores while MLflow hangs"
            )
            seconds, status = application.seconds_to_stop()
            assert (seconds < 10, status) == (True, 0), application.output[-2000:]
        with KafkaAdminClient(bootstrap_servers=own.kafka_bootstrap_servers) as admin:
            application = start(settings)
            application.wait_until(lambda: application.output.count("is ready") == 2, "that it is ready")
            admin.delete_topics([own.alerts_topic])
            send(settings, messages(traffic(200, customers=50, seed=77)))
            application.wait_until(lambda: "starting again in 4 s" in application.log, "the third pause")
            seconds, status = application.seconds_to_stop()
            assert (seconds < 10, status) == (True, 0), application.output[-2000:]
        create_topics(own)
        last = start(settings)
        last.wait_until(lambda: len(scores(own)) == 600, "a score for each record")
        assert last.stop() == 0
    finally:
        mlflow.stop()
    expected = judged(read_topic(own.kafka_bootstrap_servers, own.transactions_topic), models[0])
    assert {place: judgement(score) for place, score in scores(own).items()} == expected


def test_make_reset_stops_the_running_job_before_it_deletes_anything(
    own: Settings, start: Start, tmp_path: Path
) -> None:
    for path in ROOT.iterdir():
        if path.name not in (".git", ".scoreline"):
            (tmp_path / path.name).symlink_to(path)
    settings = own.model_copy(update={"checkpoint": str(tmp_path / ".scoreline" / "checkpoint")})
    application = start(settings)
    send(settings, messages(traffic(4_000, customers=300, seed=78)))
    application.wait_for_commit(1)
    command = ["make", "--no-print-directory", "reset", "YES=1"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, application.wait(1)) == (0, 0), done.stdout + done.stderr
    assert "Stopping detect on the checkpoint .scoreline/checkpoint" in done.stdout
    assert done.stdout.endswith("Reset.\n")
    assert not (tmp_path / ".scoreline").exists()
    assert "error" not in application.output


def test_a_second_signal_ends_at_once(own: Settings, own_stack: Stack, start: Start) -> None:
    application = start(own)
    send(own, messages(traffic(2_000, customers=300, seed=71)))
    application.wait_for_commit()
    with frozen(own_stack.kafka):
        begin = time.monotonic()
        assert status_of(own)[0] in (0, 1)  # the last stable offsets are not to be had
        assert time.monotonic() - begin < 15
        os.kill(application.pid, signal.SIGTERM)
        time.sleep(1.5)
        begin = time.monotonic()
        os.kill(application.pid, signal.SIGTERM)
        application.wait(10)
        assert time.monotonic() - begin < 5


def test_whatever_the_signals_and_with_workers_that_stand_still_it_ends_in_time_and_the_next_start_goes_on(
    own: Settings, own_stack: Stack, models: list[Model], start: Start
) -> None:
    """Ctrl-C and then SIGTERM; SIGTERM twice with Kafka gone; one signal with Kafka gone and the Python workers stopped; and
    what all processes get at once: SIGTERM as from systemd, SIGHUP as from a terminal that is closed."""
    sent = 0

    def at_work(seed: int) -> Application:
        nonlocal sent
        application = start(own)
        scored = count_records(own.kafka_bootstrap_servers, own.scores_topic)
        send(own, messages(traffic(2_000, customers=300, seed=seed)))
        sent += 2_000
        application.wait_until(
            lambda: count_records(own.kafka_bootstrap_servers, own.scores_topic) > scored + 300, "some scores"
        )
        return application

    def ends(application: Application, *signals: signal.Signals, kill: Callable[[int, int], None] = os.kill) -> float:
        below = psutil.Process(application.pid).children(recursive=True)
        begin = time.monotonic()
        for number in signals:
            kill(application.pid, number)
            time.sleep(1.2 if len(signals) > 1 else 0)
        application.wait(60)
        seconds = time.monotonic() - begin
        _, alive = psutil.wait_procs(below, timeout=5)
        assert not alive
        assert "Traceback" not in application.output
        return seconds

    assert ends(at_work(81), signal.SIGINT, signal.SIGTERM) < LIMIT_SECONDS
    application = at_work(82)
    with gone(own_stack.kafka):
        assert ends(application, signal.SIGTERM, signal.SIGTERM) < LIMIT_SECONDS
    application = at_work(83)
    with gone(own_stack.kafka):
        workers = application.workers()
        assert workers
        for worker in workers:
            worker.suspend()
        assert ends(application, signal.SIGTERM) < LIMIT_SECONDS
    for seed, number in ((84, signal.SIGTERM), (85, signal.SIGHUP)):
        application = at_work(seed)
        assert ends(application, number, kill=os.killpg) < LIMIT_SECONDS, number
        assert application.wait() == 0, number
    last = start(own)
    last.wait_until(lambda: len(scores(own)) == sent, "a score for each record", 400)
    assert last.stop() == 0
    expected = judged(read_topic(own.kafka_bootstrap_servers, own.transactions_topic), models[0])
    assert {place: judgement(score) for place, score in scores(own).items()} == expected


def test_a_job_whose_checkpoint_is_deleted_ends_with_that_reason_and_leaves_no_half_of_a_new_one(
    own: Settings, start: Start
) -> None:
    application = start(own)
    send(own, messages(traffic(4_000, customers=300, seed=72)))
    application.wait_for_commit(1)
    checkpoint = Path(own.checkpoint)
    shutil.rmtree(checkpoint, ignore_errors=True)  # what is written meanwhile may stay, as with rm -rf
    shutil.rmtree(checkpoint, ignore_errors=True)
    assert application.wait(30) == 1
    assert f"error: the checkpoint {checkpoint} was deleted while detect ran on it" in application.output
    time.sleep(1)
    assert not checkpoint.exists(), list(checkpoint.rglob("*"))
    again = start(own)
    again.wait_for_commit(1)
    assert again.stop() == 0


def test_a_micro_batch_that_does_not_end_is_seen_with_its_offsets(
    own: Settings, own_stack: Stack, start: Start
) -> None:
    settings = own.model_copy(update={"stalled_after_minutes": 0.05, "publish_interval_seconds": 1.0})
    application = start(settings)
    send(own, messages(traffic(200, customers=50, seed=73)))
    published = Path(own.checkpoint) / "publish" / "commits" / "0"
    application.wait_until(published.exists, "publish's first commit")

    def publish() -> dict[str, Any]:
        return dict(msgspec.json.decode(status_of(settings, "--json", "--query", "publish")[1])[0])

    with frozen(own_stack.influxdb):
        send(own, messages(traffic(200, customers=50, seed=74)))
        application.wait_until(lambda: publish()["state"] == "stalled", "that publish stands still", 120)
        found = publish()
        assert "no progress for" in found["unhealthy"]
        assert found["micro_batch"] >= 1
        assert found["offsets"][own.scores_topic]
        assert "no progress for" in application.output
    application.wait_until(lambda: publish()["unhealthy"] is None, "that publish goes on", 180)
    assert application.stop() == 0
