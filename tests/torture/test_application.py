"""The application is kept running, whoever ends it, and what it leaves behind is swept up."""

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from settings import Settings
from torture.application import Application

# Starts a child that outlives it, says so, and goes on until SIGTERM, which it answers with status 0.
LONG = (
    "import signal, subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(300)']);"
    "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0)); print('ready', flush=True); time.sleep(300)"
)
SHORT = "import time; time.sleep(0.2); print('no such topic'); raise SystemExit(3)"


@pytest.fixture
def keep(tmp_path: Path) -> Iterator[Callable[[str], Application]]:
    kept: list[Application] = []

    def begin(program: str) -> Application:
        kept.append(Application(Settings(log_dir=tmp_path), (sys.executable, "-c", program)))
        kept[-1].start()
        return kept[-1]

    yield begin
    for application in kept:
        application.sweep()


def wait_until(reached: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_what_was_killed_is_started_again_and_not_taken_for_an_end_of_its_own(
    keep: Callable[[str], Application], tmp_path: Path
) -> None:
    before = psutil.Process().children(recursive=True)  # servers of other tests
    application = keep(LONG)
    log = tmp_path / "console.log"
    wait_until(lambda: log.exists() and log.read_text().count("ready") == 1)
    first = application.root
    assert first is not None
    assert application.kill()
    wait_until(lambda: log.read_text().count("ready") == 2)
    assert application.starts == 2
    assert application.root not in (first, None)
    assert application.ended_by_itself == []
    children = [child for child in psutil.Process().children(recursive=True) if child not in before]
    assert application.stop(10) == 0
    assert len(application.sweep()) == 2  # the children of both lives
    assert not [process for process in children if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


def test_an_end_that_nobody_asked_for_is_noted_with_its_last_words(keep: Callable[[str], Application]) -> None:
    application = keep(SHORT)
    wait_until(lambda: application.starts >= 2)
    ended = application.ended_by_itself[0]
    assert ended.status == 3
    assert ended.said == "no such topic\n"
    assert 0.1 < ended.seconds < 10
