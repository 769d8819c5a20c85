"""Scoreline as pip installs it: in an environment of its own, without this repository."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def run(folder: Path, *command: str | Path, seconds: float = 600) -> str:
    """Standard output of a command that must not see this repository."""
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        [str(word) for word in command], cwd=folder, env=environment, capture_output=True, text=True, timeout=seconds
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_installed_into_an_empty_environment_the_demo_runs_from_an_empty_folder(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    run(tmp_path, sys.executable, ROOT / "stack" / "install.py", ROOT / "requirements.lock")
    programs = tmp_path / ".venv" / "bin"
    run(tmp_path, programs / "python", "-m", "pip", "install", "--quiet", ROOT)

    found = run(
        empty, programs / "python", "-c", "import jobs.detect, settings; print(jobs.__file__, settings.__file__)"
    )
    assert found.count(str(tmp_path / ".venv")) == 2
    installed = {line.split("==")[0] for line in run(empty, programs / "python", "-m", "pip", "freeze").splitlines()}
    assert not installed & {"pytest", "mypy", "ruff", "shap"}

    output = run(empty, programs / "scoreline", "demo", "--duration", "60")
    figures = json.loads(output.splitlines()[-1])
    assert figures["generated"] == figures["scored"] == figures["influx_points"] == 60 * 500
    assert figures["alerts"] > 0
    assert [path.name for path in empty.iterdir()] == [".scoreline"]
