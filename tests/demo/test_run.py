"""`python -m demo`, whole: real servers, the real job, the real generator, without a terminal."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from demo.environment import Environment
from demo.folder import ROOT, Folder

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
CUSTOMERS = 10_000


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One data folder for all tests here: whatever comes first prepares the model for the others."""
    return tmp_path_factory.mktemp("demo")


class Run:
    """A demo as a process, with its output in a file."""

    def __init__(self, data: Path, *flags: str, **environment: str) -> None:
        self.data = data
        self._output = data.parent / f"{data.name}.out"
        command = [sys.executable, "-m", "demo", "--data", str(data), "--customers", str(CUSTOMERS), *flags]
        with self._output.open("w") as output:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=os.environ | environment, stdout=output, stderr=subprocess.STDOUT
            )

    @property
    def output(self) -> str:
        return self._output.read_text()

    def wait_for(self, pattern: str) -> None:
        """Until a line of the output matches."""
        while not re.search(pattern, self.output):
            assert self.process.poll() is None, self.output
            time.sleep(0.1)

    def wait(self) -> int:
        return self.process.wait(500)


@contextmanager
def running(data: Path, *flags: str, **environment: str) -> Iterator[Run]:
    run = Run(data, *flags, **environment)
    try:
        yield run
    finally:
        if run.process.poll() is None:
            run.process.kill()
            run.process.wait()
        Environment(Folder(data)).kill()


def left_behind(data: Path) -> list[str]:
    """Processes that know of the data folder, by command line, working folder or environment."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            told = [*process.cmdline(), process.cwd(), *process.environ().values()]
            if process.pid != os.getpid() and any(str(data) in text for text in told):
                found.append(" ".join(process.cmdline())[:200])
    return found


def figures(run: Run) -> dict[str, float]:
    """The JSON object on the last line."""
    parsed: dict[str, float] = json.loads(run.output.splitlines()[-1])
    return parsed


@pytest.mark.long
def test_a_run_ends_by_itself_accounts_for_everything_and_leaves_nothing_behind(data: Path) -> None:
    picture = data.parent / "view.svg"
    with running(data, "--rate", "200", "--duration", "20", "--record", str(picture)) as run:
        assert run.wait() == 0, run.output
        assert "<svg" in picture.read_text()
        assert left_behind(data) == []
        got = figures(run)
        assert got["generated"] == 4_000
        assert got["scored"] + got["invalid"] == 4_000
        assert got["influx_points"] == got["scored"]
        assert got["alerts"] > 0
        assert 0 < got["latency_ms_p50"] <= got["latency_ms_p99"]
        assert got["model_version"] == 1
        assert str(got["page"]).startswith("http://127.0.0.1:")
        assert 0 < got["early_alerts"] <= got["alerts"]
        assert 0 < got["early_latency_ms_p50"] <= got["early_latency_ms_p99"]
        assert got["early_latency_ms_p50"] < got["latency_ms_p50"]
        assert re.search(r"\d+ s: in \d+/s, scored \d+/s", run.output)
        assert "\x1b" not in run.output


@pytest.mark.long
def test_a_model_that_learned_from_labels_takes_over_while_traffic_flows(data: Path) -> None:
    with running(data, "--rate", "200", "--chapter", "labels", "--duration", "240") as run:
        assert run.wait() == 0, run.output
        got = figures(run)
        assert got["scored"] + got["invalid"] == got["generated"]
        assert got["promoted"] is True, run.output
        version = got["model_version"]
        assert f"version {version}, which learned from labels" in " ".join(run.output.split())
        assert got["precision_before"] is not None
        assert got["precision_after"] is not None
    with running(data, "--rate", "200", "--duration", "15") as run:  # begins with the model that saw no label again
        assert run.wait() in (0, 1), run.output
        assert figures(run)["model_version"] == 1


@pytest.mark.long
def test_a_wave_and_a_shift_are_announced_and_found_and_every_chapter_is_accounted_for(data: Path) -> None:
    with running(data, "--rate", "300", "--chapter", "attack", "--chapter", "drift", "--duration", "110") as run:
        assert run.wait() == 0, run.output
        got = figures(run)
        assert 0.95 * 33_000 <= got["generated"] <= 33_000
        assert got["scored"] + got["invalid"] == got["generated"]
        assert got["influx_points"] == got["scored"]
        assert got["wave_recall"] > 0.1
        assert got["wave_first_alert_s"] > 0
        assert 0 <= got["drift_simulated_minutes"] <= 180, run.output
        assert "the wave begins at" in run.output


@pytest.mark.long
def test_with_secured_servers_it_accounts_for_everything_and_writes_the_password_nowhere_else(tmp_path: Path) -> None:
    data = tmp_path / "secured"
    with running(data, "--secured", "--rate", "200", "--duration", "20") as run:
        assert run.wait() == 0, run.output
        got = figures(run)
        assert got["scored"] + got["invalid"] == got["generated"] == 4_000
        assert got["influx_points"] == got["scored"]
        assert 0 < got["early_alerts"] <= got["alerts"]
        assert left_behind(data) == []
    password = (data / "security" / "password").read_bytes()
    holding = [path for path in data.rglob("*") if path.is_file() and password in path.read_bytes()]
    assert {path.name for path in holding} == {"password", "server.properties", "users"}
    assert password.decode() not in run.output


@pytest.mark.long
def test_ctrl_c_ends_a_run_in_order_and_leaves_nothing_behind(data: Path) -> None:
    with running(data, "--rate", "500") as run:
        run.wait_for(r"alert \(")
        run.process.send_signal(signal.SIGINT)
        assert run.wait() == 0, run.output
        assert left_behind(data) == []
        got = figures(run)
        assert got["scored"] + got["invalid"] == got["generated"] > 0
        assert got["influx_points"] == got["scored"]


@pytest.mark.long
def test_sigterm_while_the_job_starts_ends_everything_at_once(data: Path) -> None:
    with running(data, "--rate", "500") as run:
        run.wait_for(r"the job …")
        run.process.send_signal(signal.SIGTERM)
        assert run.wait() == 1
        assert left_behind(data) == []
        assert run.output.splitlines()[-1].startswith("Ended before its time.")
        assert "Traceback" not in run.output


@pytest.mark.long
def test_what_a_killed_demo_leaves_behind_is_ended_at_the_next_start(data: Path) -> None:
    with running(data, "--rate", "500") as run:
        run.wait_for(r"the job …")
        run.process.kill()
        run.process.wait()
        assert left_behind(data) != []
        Environment(Folder(data)).kill()  # what a start does first
        assert left_behind(data) == []


@pytest.mark.long
def test_where_the_service_can_not_start_one_line_says_so_and_the_demo_goes_on(data: Path) -> None:
    with running(data, "--rate", "200", "--duration", "15", SCORELINE_SERVE_KEYS="/nowhere/keys.yaml") as run:
        assert run.wait() == 0, run.output
        (line,) = [line for line in run.output.splitlines() if line.strip().startswith("The service has ended")]
        assert "the keys /nowhere/keys.yaml can't be read" in line
        assert figures(run)["early_latency_ms_p50"] is None
        assert left_behind(data) == []


def test_without_java_there_is_one_clear_line(tmp_path: Path) -> None:
    with running(tmp_path / "data", JAVA_HOME="/nowhere") as run:
        assert run.wait() == 1
        [line] = run.output.splitlines()
        assert line.startswith("error: Java 17 or newer is required")


@pytest.mark.parametrize(("flag", "value"), [("--rate", "0"), ("--duration", "-1"), ("--customers", "5")])
def test_a_wrong_option_is_refused_in_words(flag: str, value: str, tmp_path: Path) -> None:
    with running(tmp_path / "data", flag, value) as run:
        assert run.wait() == 2
        assert f"'{flag}'" in run.output
        assert "Traceback" not in run.output
        assert not (tmp_path / "data").exists()
