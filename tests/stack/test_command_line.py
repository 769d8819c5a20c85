"""`python -m stack` as a person uses it: what it says, what it leaves running, how it fails."""

import json
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from settings import Settings
from tests.support.kafka import read_topic

CLIENT_SETTINGS = {
    "KAFKA_BOOTSTRAP_SERVERS",
    "INFLUXDB_URL",
    "INFLUXDB_TOKEN",
    "INFLUXDB_ORG",
    "INFLUXDB_BUCKET",
    "MLFLOW_TRACKING_URI",
}
FOREIGN = CLIENT_SETTINGS | {"JAVA_HOME"}


def stack(data: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a command of the stack on `data`, with the environment's settings of any real servers taken out."""
    own = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    command = [sys.executable, "-m", "stack", *arguments]
    environment = own | {"SCORELINE_DATA": str(data)} | environment
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=200)


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "stack"
    assert stack(tmp_path / "stack", "down").returncode == 0


def processes_of(data: Path) -> list[psutil.Process]:
    return [
        process for process in psutil.process_iter(["cmdline"]) if str(data) in " ".join(process.info["cmdline"] or [])
    ]


def test_up_twice_then_status_then_down_leaves_nothing_running(data: Path) -> None:
    first, second = stack(data, "up"), stack(data, "up")
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert "Kafka is up on port" in first.stdout
    assert "InfluxDB is up on port" in first.stdout
    assert second.stdout == first.stdout.replace("is up", "was up already")
    assert len(processes_of(data)) == 2

    status = json.loads(stack(data, "status", "--json").stdout)
    assert set(status) == CLIENT_SETTINGS
    settings = Settings(**{name.lower(): value for name, value in status.items()})
    assert settings.influxdb_bucket == "scoreline/autogen"
    assert read_topic(settings.kafka_bootstrap_servers, settings.transactions_topic) == []
    assert "process" in stack(data, "status").stdout

    assert stack(data, "down").stdout == "InfluxDB is down.\nKafka is down.\n"
    assert processes_of(data) == []
    assert stack(data, "down").stdout == "Nothing was running.\n"
    assert set(json.loads(stack(data, "status", "--json").stdout)) == {"MLFLOW_TRACKING_URI"}


def test_an_mlflow_server_is_started_when_asked_for(data: Path) -> None:
    up = stack(data, "up", "--mlflow", INFLUXDB_URL="http://influxdb.example:8086")
    assert up.returncode == 0, up.stderr
    assert [line.split()[0] for line in up.stdout.splitlines()] == ["Kafka", "MLflow"]
    status = json.loads(stack(data, "status", "--json").stdout)
    assert status["MLFLOW_TRACKING_URI"].startswith("http://127.0.0.1:")
    running = {one for server in processes_of(data) for one in (server, *server.children(recursive=True))}
    sockets = [one for process in running for one in process.net_connections("inet")]
    listening = {(one.laddr.ip, one.laddr.port) for one in sockets if one.status == psutil.CONN_LISTEN}
    assert int(status["MLFLOW_TRACKING_URI"].rsplit(":", 1)[1]) in {port for _, port in listening}
    assert {ip for ip, _ in listening} <= {"127.0.0.1", "::ffff:127.0.0.1"}
    assert "MLflow is down." in stack(data, "down").stdout
    assert json.loads(stack(data, "status", "--json").stdout)["MLFLOW_TRACKING_URI"].startswith("sqlite:///")
    assert processes_of(data) == []


def test_the_settings_of_an_influxdb_elsewhere_are_passed_on(data: Path) -> None:
    elsewhere = {"INFLUXDB_URL": "http://influxdb.example:8086", "INFLUXDB_TOKEN": "t"}
    assert json.loads(stack(data, "status", "--json", **elsewhere).stdout).items() >= elsewhere.items()
    assert "InfluxDB" not in stack(data, "status", **elsewhere).stdout


def test_a_command_runs_with_the_settings_of_the_stack_unless_the_environment_has_them(data: Path) -> None:
    printing = [sys.executable, "-c", "import os; print(os.environ['MLFLOW_TRACKING_URI'])"]
    assert stack(data, "run", *printing).stdout == f"sqlite:///{data / 'mlflow' / 'mlflow.db'}\n"
    assert stack(data, "run", *printing, MLFLOW_TRACKING_URI="http://m:5000").stdout == "http://m:5000\n"


def assert_one_line(failed: subprocess.CompletedProcess[str], *words: str) -> None:
    assert failed.returncode == 1
    assert failed.stdout == ""
    assert len(failed.stderr.splitlines()) == 1, failed.stderr
    for word in words:
        assert word in failed.stderr


def test_without_java_one_line_says_what_to_install(data: Path, tmp_path: Path) -> None:
    assert_one_line(stack(data, "up", PATH=str(tmp_path)), "Java 17", "none on the PATH", "install")


def test_an_old_java_is_named_in_one_line(data: Path, tmp_path: Path) -> None:
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text("#!/bin/sh\necho 'openjdk version \"11.0.24\" 2024-07-16' >&2\n")
    java.chmod(java.stat().st_mode | stat.S_IXUSR)
    assert_one_line(stack(data, "up", JAVA_HOME=str(tmp_path)), "Java 17", f"{java} is Java 11", "JAVA_HOME")


def test_a_busy_port_is_named_with_who_has_it(data: Path) -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        failed = stack(data, "up", "--kafka-port", str(port))
    assert_one_line(failed, f"port {port}", f"process {os.getpid()}", "another port")
    assert processes_of(data) == []


def test_a_broker_that_cannot_start_is_reported_with_the_end_of_its_log(data: Path) -> None:
    (data / "kafka" / "data").mkdir(parents=True)
    (data / "kafka" / "data" / "meta.properties").write_text("version=1\ncluster.id=c\nnode.id=7\n")
    assert_one_line(stack(data, "up"), "Kafka ended", str(data / "kafka" / "server.log"))
    assert processes_of(data) == []
