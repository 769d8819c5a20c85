"""Whom the stack may end: the process that it started, and no other."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from stack.process import RecordedProcess

SLEEP = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"]


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[RecordedProcess]:
    process = RecordedProcess(tmp_path / "process.json", tmp_path / "log")
    process.start(SLEEP)
    yield process
    process.kill()


def test_another_python_finds_the_process_by_its_record_and_ends_it(sleeper: RecordedProcess, tmp_path: Path) -> None:
    running = sleeper.find()
    again = RecordedProcess(tmp_path / "process.json", tmp_path / "log")
    assert again.find() == running
    assert again.end(patience_seconds=10)
    assert running is not None
    assert not running.is_running()
    assert again.find() is None
    assert not again.end(patience_seconds=10)


def test_a_process_that_got_the_recorded_id_by_chance_is_left_alone(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stranger:
        started = psutil.Process(stranger.pid).create_time() - psutil.boot_time()
        (tmp_path / "process.json").write_text(json.dumps({"pid": stranger.pid, "started": started - 60}))
        reused = RecordedProcess(tmp_path / "process.json", tmp_path / "log")
        assert reused.find() is None
        assert not reused.end(patience_seconds=1)
        assert not reused.kill()
        assert stranger.poll() is None
        stranger.communicate(b"\n")


def test_it_runs_in_a_session_of_its_own_so_that_ctrl_c_does_not_reach_it(sleeper: RecordedProcess) -> None:
    process = sleeper.find()
    assert process is not None
    assert os.getsid(process.pid) == process.pid != os.getsid(0)


def test_a_process_that_ignores_the_request_to_end_is_killed_with_its_children(tmp_path: Path) -> None:
    deaf = (
        "import signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); print('up', flush=True); time.sleep(60)"
    )
    process = RecordedProcess(tmp_path / "process.json", tmp_path / "log")
    process.start([sys.executable, "-c", deaf])
    while "up" not in (tmp_path / "log").read_text():
        time.sleep(0.01)
    running = process.find()
    assert running is not None
    (child,) = running.children()
    assert process.end(patience_seconds=0.2)
    assert not running.is_running()
    assert not child.is_running()


def test_what_a_process_has_left_behind_in_its_session_ends_with_it(tmp_path: Path) -> None:
    mother = "import subprocess; print(subprocess.Popen(['sleep', '60']).pid, flush=True)"
    process = RecordedProcess(tmp_path / "process.json", tmp_path / "log")
    process.start([sys.executable, "-c", mother])
    while process.find() is not None:
        time.sleep(0.01)
    orphan = psutil.Process(int((tmp_path / "log").read_text()))
    assert not process.end(patience_seconds=1)  # it had ended by itself
    assert not orphan.is_running()
