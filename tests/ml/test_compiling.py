"""Compiled code between processes: given up when any source has changed, and done without where there is no place for it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
CALLED = """
from ml.compiling import compiled

LENGTH = 3


@compiled
def length():
    return LENGTH
"""
CALLS = """
from ml.called import length
from ml.compiling import compiled


@compiled
def twice():
    return 2 * length()
"""
PACKAGE = {"called.py": CALLED, "calls.py": CALLS, "__init__.py": ""}


def package(folder: Path) -> Path:
    """A package `ml` of two compiled functions, of which one calls the other."""
    (folder / "ml").mkdir()
    for name, text in PACKAGE.items():
        (folder / "ml" / name).write_text(text)
    shutil.copy(ROOT / "ml" / "compiling.py", folder / "ml")
    return folder


def twice(folder: Path, **environment: str) -> str:
    """What another process says."""
    command = [sys.executable, "-c", "from ml.calls import twice; print(twice())"]
    variables = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"} | environment
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=True).stdout.strip()


def test_what_is_kept_is_given_up_when_a_file_that_it_calls_has_changed(tmp_path: Path) -> None:
    folder = package(tmp_path)
    assert twice(folder) == "6"
    kept = sorted((folder / "ml" / "__pycache__").glob("calls.twice*.nbc"))
    assert kept
    before = kept[0].stat().st_mtime_ns
    assert twice(folder) == "6"
    assert kept[0].stat().st_mtime_ns == before
    called = folder / "ml" / "called.py"
    called.write_text(called.read_text().replace("LENGTH = 3", "LENGTH = 4"))
    assert twice(folder) == "8"


def test_where_nothing_can_be_written_each_process_compiles_for_itself(tmp_path: Path) -> None:
    folder = package(tmp_path)
    (folder / "ml" / "__pycache__").write_text("no folder")
    nowhere = folder / "file"
    nowhere.write_text("no folder")
    assert twice(folder, HOME=str(nowhere), XDG_CACHE_HOME=str(nowhere)) == "6"
