"""What runs on this folder's data is found and stopped before the data is deleted."""

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from jobs.runtime import stopping
from jobs.runtime.claim import is_held
from jobs.runtime.stopping import running_under, stop

ROOT = Path(__file__).parents[2]
HOLD = """
import fcntl, os, signal, sys
from pathlib import Path
import msgspec
from jobs.runtime.claim import Holder

path = Path(sys.argv[1]) / "locks" / "detect"
path.parent.mkdir(parents=True)
file = path.open("w+b", buffering=0)
fcntl.flock(file, fcntl.LOCK_EX)
file.write(msgspec.json.encode(Holder.me(os.getpid())))
if sys.argv[2] == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("held", flush=True)
signal.pause()
"""

Hold = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def hold() -> Iterator[Hold]:
    """Processes that hold the lock of detect on a checkpoint, as the job does."""
    held: list[subprocess.Popen[str]] = []

    def begin(checkpoint: Path, how: str = "") -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(checkpoint), how], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        held.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        return process

    yield begin
    for process in held:
        process.kill()
        process.communicate()


def test_each_checkpoint_below_the_folder_is_found_and_its_application_is_stopped(tmp_path: Path, hold: Hold) -> None:
    one, other = hold(tmp_path / "checkpoint"), hold(tmp_path / "deep" / "checkpoint")
    found = running_under(tmp_path)
    assert {running.pid for running in found} == {one.pid, other.pid}
    assert all("detect on the checkpoint" in running.what for running in found)
    assert stop(found) == []
    assert not is_held(tmp_path / "checkpoint", "detect")
    assert running_under(tmp_path) == []


def test_a_lock_that_nobody_holds_any_more_stops_nobody(tmp_path: Path, hold: Hold) -> None:
    process = hold(tmp_path / "checkpoint")
    process.kill()
    process.wait()
    assert running_under(tmp_path) == []


def test_one_that_does_not_stop_is_named_and_the_exit_status_says_so(
    tmp_path: Path, hold: Hold, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = hold(tmp_path / "checkpoint", "deaf")
    monkeypatch.setattr(stopping, "PATIENCE_SECONDS", 1.0)
    (left,) = stop(running_under(tmp_path))
    assert left.pid == process.pid
    assert str(tmp_path / "checkpoint") in left.what


SLEEPS = "import signal, sys; print('up', flush=True); signal.pause()"
PROGRAMS = {
    "the page": ("page",),
    "the service": ("serving", "--serve-port", "0"),
    "the notifier": ("notifications",),
    "the watcher": ("watch", "--folder", "x"),
    "the generator": ("generator", "send"),
    "a replay": ("generator", "replay", "x"),
    "`generator pull`": ("generator", "pull"),
    "the demo": ("demo", "--duration", "0"),
    "`ml train`": ("ml", "train", "x"),
}


def test_all_our_programs_that_run_beside_the_folder_or_write_in_it_are_named_and_stopped(tmp_path: Path) -> None:
    """Also under their names as commands of `scoreline`. A job whose lock is not taken yet is one of them."""
    home, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    (home / ".scoreline").mkdir(parents=True)
    packages = {words[0] for words in PROGRAMS.values()} | {"stack"}
    for folder in (home, elsewhere):
        for package in packages:
            (folder / package).mkdir(parents=True)
            (folder / package / "__main__.py").write_text(SLEEPS)
        (folder / "scoreline").write_text(SLEEPS)
    job = str(ROOT / "jobs" / "detect.py")
    there = [
        *([sys.executable, "-m", *words] for words in PROGRAMS.values()),
        [sys.executable, "-u", "scoreline", "page", "--page-port", "0"],
        [sys.executable, "-c", SLEEPS, "org.apache.spark.deploy.SparkSubmit", job],
    ]
    wanted = [*PROGRAMS, "the page", "a job"]
    held = [start_program(command, home) for command in there]
    others = [
        start_program([sys.executable, "-m", "stack"], home),
        start_program([sys.executable, "-c", SLEEPS, "scoreline", "page"], home),
        start_program([sys.executable, "-c", SLEEPS, job], home),
        start_program(there[0], elsewhere),
    ]
    with (home / ".scoreline" / "page.log").open("w") as log:
        held.append(start_program(there[0], elsewhere, pass_fds=[log.fileno()]))
    try:
        found = running_under(home / ".scoreline")
        assert {one.pid: one.what for one in found} == {
            process.pid: f"{what} (process {process.pid})"
            for process, what in zip(held, [*wanted, "the page"], strict=True)
        }
        assert stop(found) == []
        assert [process.poll() for process in others] == [None] * len(others)
    finally:
        for process in (*held, *others):
            process.kill()
            process.communicate()


def start_program(command: list[str], home: Path, pass_fds: Sequence[int] = ()) -> "subprocess.Popen[str]":
    process = subprocess.Popen(command, cwd=home, stdout=subprocess.PIPE, text=True, pass_fds=pass_fds)
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    return process


def test_the_command_says_what_it_stops(tmp_path: Path, hold: Hold) -> None:
    process = hold(tmp_path / "checkpoint")
    command = [sys.executable, "-m", "jobs", "stop", "--folder", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "Stopping detect on the checkpoint" in done.stdout
    assert f"process {process.pid}" in done.stdout
