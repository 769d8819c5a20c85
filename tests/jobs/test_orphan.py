"""A Python process that is still importing when its Java process ends is not left behind."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]
CHILD = (
    "import time; from jobs.runtime import orphan; orphan.end_with_parent(); "
    "{then}; print('ready', flush=True); time.sleep(60)"
)


def orphaned(then: str) -> psutil.Process:
    """A child that watches its parent, just after that has gone."""
    parent = f"import subprocess, sys; child = subprocess.Popen([sys.executable, '-c', {CHILD.format(then=then)!r}]); print(child.pid, flush=True); child.wait()"  # noqa: E501
    with subprocess.Popen([sys.executable, "-c", parent], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        child = psutil.Process(int(process.stdout.readline()))
        assert process.stdout.readline() == "ready\n"
        process.kill()
        process.wait()
        process.stdout.close()
    return child


def test_it_leaves_with_its_parent() -> None:
    orphaned("None").wait(10)


def test_it_stays_where_another_sees_to_it() -> None:
    child = orphaned("orphan.taken_over()")
    time.sleep(1)
    assert child.is_running()
    os.kill(child.pid, 9)
