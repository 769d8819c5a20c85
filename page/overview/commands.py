"""Answers of the project's own commands, each by a process of its own that ends at its time limit."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import msgspec

from page.overview.questions import NoAnswer
from settings import Settings

_ROOT: Final = Path(__file__).parents[2]
_LONGEST: Final = 300


def quality(settings: Settings, seconds: float = 300.0) -> list[dict[str, Any]]:
    """What `scoreline quality` says of each model, of all days together. Raises `NoAnswer`."""
    if settings.lake is None:
        raise NoAnswer("there is no lake here: set SCORELINE_LAKE, for the job and for this page")
    done = _run(settings, ["page.overview.quality"], seconds)
    try:
        rows: list[dict[str, Any]] = msgspec.json.decode(done.stdout)
    except msgspec.MsgspecError:
        raise NoAnswer(_complaint(done)) from None
    return rows


def jobs(settings: Settings, seconds: float = 60.0) -> list[dict[str, Any]]:
    """What `scoreline status` says of each query. Raises `NoAnswer`."""
    done = _run(settings, ["jobs", "status", "--json"], seconds)
    try:
        found: list[dict[str, Any]] = msgspec.json.decode(done.stdout)
    except msgspec.MsgspecError:
        raise NoAnswer(_complaint(done)) from None
    if not found:
        raise NoAnswer(f"no query has run on the checkpoint {settings.checkpoint}")
    return found


def _run(settings: Settings, command: list[str], seconds: float) -> subprocess.CompletedProcess[bytes]:
    path = os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH")]))
    environment = os.environ | settings.environment() | {"PYTHONPATH": path, "COLUMNS": "200"}
    polite = ["nice", "-n", "10"] if shutil.which("nice") else []  # what judges goes first
    try:
        return subprocess.run(
            [*polite, sys.executable, "-m", *command],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise NoAnswer(f"no answer within {seconds:g} s") from None


def _complaint(done: subprocess.CompletedProcess[bytes]) -> str:
    lines = done.stderr.decode(errors="replace").strip().splitlines()
    return (lines[-1] if lines else f"the command ended with status {done.returncode}")[:_LONGEST]
