"""The targets that everything starts from."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = re.search(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)[1].split()  # type: ignore[index]


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A folder with nothing but what `make setup` and `make reset` look at."""
    for name in ("Makefile", "requirements.lock", "requirements-dev.lock"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def make(folder: Path, *arguments: str, answer: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    command = [shutil.which("make") or "make", "--no-print-directory", *arguments]
    return subprocess.run(
        command, cwd=folder, env=os.environ | environment, input=answer, capture_output=True, text=True, check=False
    )


def test_help_has_a_line_for_each_target() -> None:
    lines = make(ROOT).stdout.splitlines()
    assert [line.split()[1] for line in lines] == TARGETS
    assert all(len(line.split()) > 3 for line in lines)


@pytest.mark.parametrize(("target", "lock"), [("setup", "requirements.lock"), ("setup-dev", "requirements-dev.lock")])
def test_set_up_does_nothing_when_the_lock_is_unchanged(elsewhere: Path, target: str, lock: str) -> None:
    (elsewhere / ".venv").mkdir()
    shutil.copy(elsewhere / lock, elsewhere / ".venv")
    done = make(elsewhere, target)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_what_is_set_up_for_tests_serves_the_demo_too(elsewhere: Path) -> None:
    (elsewhere / ".venv").mkdir()
    shutil.copy(elsewhere / "requirements-dev.lock", elsewhere / ".venv")
    make(elsewhere, "setup-dev")
    done = make(elsewhere, "setup")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_without_python_one_line_says_what_to_install(elsewhere: Path) -> None:
    tools = elsewhere / "tools"
    tools.mkdir()
    for tool in ("sh", "cmp"):
        (tools / tool).symlink_to(shutil.which(tool) or tool)
    done = make(elsewhere, "setup", PATH=str(tools))
    assert done.returncode != 0
    assert done.stderr.startswith("Python 3.11 or newer is required, and none is on the PATH")


def test_reset_asks_and_takes_no_for_an_answer(elsewhere: Path) -> None:
    (elsewhere / ".scoreline").mkdir()
    refused = make(elsewhere, "reset", answer="n\n")
    assert refused.returncode != 0
    assert "Nothing was changed." in refused.stdout
    assert (elsewhere / ".scoreline").exists()


@pytest.mark.parametrize(("arguments", "answer"), [(["YES=1"], ""), ([], "y\n")])
def test_reset_deletes_what_scoreline_wrote_when_told_so(elsewhere: Path, arguments: list[str], answer: str) -> None:
    (elsewhere / ".scoreline" / "stack").mkdir(parents=True)
    assert make(elsewhere, "reset", *arguments, answer=answer).returncode == 0
    assert not (elsewhere / ".scoreline").exists()


def test_reset_deletes_nothing_when_there_is_no_answer(elsewhere: Path) -> None:
    (elsewhere / ".scoreline").mkdir()
    assert make(elsewhere, "reset").returncode != 0
    assert (elsewhere / ".scoreline").exists()


@pytest.mark.parametrize("place", ["s3a://bucket/state", "hdfs:///state", "file:///state", "missing/state"])
def test_a_state_that_is_named_is_handed_on_wherever_it_is(elsewhere: Path, place: str) -> None:
    assert f"jobs submit --initial-state {place}\n" in make(elsewhere, "--dry-run", "submit", f"STATE={place}").stdout
    assert "--initial-state" not in make(elsewhere, "--dry-run", "submit").stdout  # where none has been made here


def test_no_history_is_simulated_into_a_place_that_is_not_on_this_machine(elsewhere: Path) -> None:
    commands = make(elsewhere, "--dry-run", "train", "HISTORY=s3a://bucket/history").stdout.splitlines()
    (simulated,) = (line for line in commands if "generator history" in line)
    made = subprocess.run(["sh", "-c", simulated.replace(".venv/bin/python", "echo")], capture_output=True, check=True)
    assert made.stdout == b""
