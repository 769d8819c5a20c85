"""Local servers that talk TLS and ask for a login, by the very commands of docs/operations.md."""

import json
import os
import shlex
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import trustme

from demo.accounts import count_points
from jobs.publish_points import SCORE
from settings import Settings
from sinks.chosen import sink_of
from sinks.influxdb import InfluxDBSink
from sinks.sink import SinkRejected, SinkUnavailable
from stack.local import Stack

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text().split("## Securing it")[1].split("\n## ")[0]
COMMANDS = PAGE.split("```sh\n")[2].split("```")[0].splitlines()


def run(command: str, data: Path) -> str:
    words = [str(data) if word == ".scoreline/secured" else word for word in shlex.split(command)]
    foreign = ("KAFKA_", "INFLUXDB_", "MLFLOW_", "SCORELINE_DATA")
    own = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    path = f"{Path(sys.executable).parent}{os.pathsep}{own['PATH']}"
    done = subprocess.run(
        words, cwd=ROOT, env=own | {"PATH": path}, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of secured servers to which the page's commands have sent traffic."""
    folder = tmp_path_factory.mktemp("secured") / "data"
    up, send, down = COMMANDS
    run(up, folder)
    assert "transactions" in run(send, folder)
    yield folder
    run(down, folder)


@pytest.fixture(scope="module")
def settings(data: Path) -> Settings:
    """What clients need, as the stack says it."""
    said = json.loads(run("python -m stack status --json --data .scoreline/secured", data))
    assert said["KAFKA_SECURITY_PROTOCOL"] == "SASL_SSL"
    return Settings(**{name.lower(): value for name, value in said.items()})


def test_a_person_is_shown_no_password_and_others_can_read_none(data: Path, settings: Settings) -> None:
    assert settings.kafka_sasl_password is not None
    password = settings.kafka_sasl_password.get_secret_value()
    shown = run("python -m stack status --data .scoreline/secured", data)
    assert "KAFKA_SASL_PASSWORD=********" in shown
    assert password not in shown
    holding = [path for path in data.rglob("*") if path.is_file() and password.encode() in path.read_bytes()]
    assert holding
    assert not [path for path in [data, *holding] if stat.S_IMODE(path.stat().st_mode) & 0o077]


def test_points_are_written_and_counted_and_each_fault_is_one_line(settings: Settings, tmp_path: Path) -> None:
    right = sink_of(settings)
    assert isinstance(right, InfluxDBSink)
    with right:
        right.check()
        right.write(f"{SCORE},k=v anomaly_score=1 1\n".encode())
    assert count_points(settings, 0) == 1
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "foreign.pem"))
    faults: list[tuple[InfluxDBSink, type[Exception], str]] = [
        (replace(right, token="scoreline:marked"), SinkRejected, "INFLUXDB_TOKEN"),
        (replace(right, ca=tmp_path / "foreign.pem"), SinkUnavailable, "set INFLUXDB_CA"),
        (replace(right, ca=None), SinkUnavailable, "set INFLUXDB_CA"),
    ]
    for wrong, kind, named in faults:
        with wrong, pytest.raises(kind, match=named) as raised:
            wrong.write(b"score,k=v anomaly_score=1 1\n")
        assert "marked" not in str(raised.value)
        assert "\n" not in str(raised.value)


def test_servers_keep_to_what_they_were_at_their_first_start(data: Path) -> None:
    assert Stack(data).kafka.config.uses_sasl
    assert not Stack(data, secured=False).kafka.config.uses_sasl
