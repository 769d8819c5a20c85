"""The very commands of Scoreline's services, run without a container against real servers."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import psutil
import pytest
import urllib3
from kafka import KafkaProducer
from tenacity import retry, stop_after_delay, wait_fixed

from ml.schema import Transaction
from settings import Settings
from stack.server import free_port
from tests.docker.compose import ROOT, command, own
from tests.support.kafka import read_topic

PROGRAMS = Path(sys.executable).parent


def _environment(**variables: object) -> dict[str, str]:
    path = f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}"
    return (
        os.environ | {"PATH": path, "PYTHONPATH": str(ROOT)} | {name: str(value) for name, value in variables.items()}
    )


@contextmanager
def _running(words: list[str], folder: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A process while it is needed; afterwards neither it nor a child of it is left."""
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(words, cwd=ROOT, env=environment, stdout=output, stderr=output)
    try:
        yield process
    finally:
        parent = psutil.Process(process.pid)
        for member in [*parent.children(recursive=True), parent]:
            with suppress(psutil.NoSuchProcess):
                member.terminate()
        process.wait(30)


# MLflow


@pytest.fixture(scope="module")
def mlflow_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The server as the file starts it, but for the port and the folders."""
    folder = tmp_path_factory.mktemp("mlflow")
    port = free_port()
    words = [word.replace("/mlflow/", f"{folder}/") for word in command(own()["mlflow"])]
    words = [f"--port={port}" if word == "--port=5000" else word for word in words]
    url = f"http://127.0.0.1:{port}"
    with _running(words, folder, _environment(**own()["mlflow"]["environment"])):
        _until_healthy(url)
        yield url


@retry(stop=stop_after_delay(60), wait=wait_fixed(0.5))
def _until_healthy(url: str) -> None:
    assert urllib3.request("GET", f"{url}/health", timeout=2, retries=False).status == 200


@pytest.mark.parametrize("host", ["mlflow:5000", "localhost:5000", "localhost:15000", "127.0.0.1:5000"])
def test_mlflow_answers_those_who_call_it_by_the_names_it_has_here(mlflow_url: str, host: str) -> None:
    assert _status(mlflow_url, host) == 200


def test_mlflow_refuses_a_name_that_it_does_not_have(mlflow_url: str) -> None:
    assert _status(mlflow_url, "elsewhere.example:5000") == 403


def _status(url: str, host: str) -> int:
    experiments = f"{url}/api/2.0/mlflow/experiments/search?max_results=1"
    return urllib3.request("GET", experiments, headers={"Host": host}, timeout=10).status


# Topics and traffic


def test_the_topics_service_makes_every_topic_and_may_run_again(topics: Settings) -> None:
    named = topics.model_copy(update={"scores_topic": f"{topics.scores_topic}.new"})
    for _ in range(2):
        subprocess.run(_words("topics"), cwd=ROOT, env=_environment(**named.environment()), check=True, timeout=60)
    assert read_topic(topics.kafka_bootstrap_servers, named.scores_topic) == []


def test_traffic_that_is_started_again_repeats_nothing_and_a_check_sees_it(topics: Settings, tmp_path: Path) -> None:
    history = tmp_path / "history"
    made = [sys.executable, "-m", "generator", "history", f"--out={history}", "--customers=300", "--days=1"]
    subprocess.run(made, cwd=ROOT, env=_environment(), check=True, timeout=60)
    environment = _environment(**topics.environment())
    assert _check(environment) == 1
    words = [word.replace("--history=/history", f"--history={history}") for word in _words("generator")]
    first = _sent(words, topics, tmp_path, environment)
    assert _check(environment) == 0
    _send_what_is_no_transaction(topics)
    both = _sent(words, topics, tmp_path, environment)
    assert len({transaction.transaction_id for transaction in both}) == len(both) > len(first) > 0
    newest = max(transaction.event_time for transaction in first)
    assert min(transaction.event_time for transaction in both if transaction not in first) > newest


def _words(name: str) -> list[str]:
    return [sys.executable if word == "python" else word for word in command(own()[name])]


def _check(environment: dict[str, str]) -> int:
    _, program, *arguments = own()["generator"]["healthcheck"]["test"]
    assert program == "python"
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, timeout=60
    ).returncode


def _sent(words: list[str], settings: Settings, folder: Path, environment: dict[str, str]) -> list[Transaction]:
    """Let traffic flow until more has come; returns all the transactions on the topic."""
    before = len(_transactions(settings))
    with _running(words, folder, environment):
        _until_more(settings, before)
    return _transactions(settings)


@retry(stop=stop_after_delay(60), wait=wait_fixed(0.5))
def _until_more(settings: Settings, before: int) -> None:
    assert len(_transactions(settings)) > before + 200


def _transactions(settings: Settings) -> list[Transaction]:
    records = read_topic(settings.kafka_bootstrap_servers, settings.transactions_topic)
    return [
        msgspec.json.decode(record.value, type=Transaction) for record in records if (record.value or b"")[:1] == b"{"
    ]


def _send_what_is_no_transaction(settings: Settings) -> None:
    """Dead letters and one transaction of a far future; each begins with another byte than the generator's."""
    future = msgspec.json.encode(Transaction("later", datetime(2999, 1, 1, tzinfo=UTC), "c1", 1.0))
    with KafkaProducer(bootstrap_servers=settings.kafka_bootstrap_servers) as producer:
        for partition in range(4):
            for value in (b"not JSON", None, b" " + future[:-1], b" " + future):
                producer.send(settings.transactions_topic, value, key=b"c1", partition=partition)


# The job


def test_the_jobs_health_check_asks_for_detect_and_fails_where_nothing_runs(topics: Settings) -> None:
    _, program, *arguments = own()["job"]["healthcheck"]["test"]
    assert (program, *arguments[:3]) == ("python", "-m", "jobs", "status")
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=_environment(**topics.environment()),
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert b"not running" in done.stdout
