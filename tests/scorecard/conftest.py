"""One quick scorecard that all tests here look at, made as a person makes it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).parents[2]


class Made(NamedTuple):
    """What `python -m scorecard --quick` printed, and its folder."""

    out: str
    err: str
    folder: Path

    @property
    def last_line(self) -> dict[str, Any]:
        return json.loads(self.out.splitlines()[-1])  # type: ignore[no-any-return]

    @property
    def card(self) -> dict[str, Any]:
        return json.loads((self.folder / "scorecard.json").read_bytes())  # type: ignore[no-any-return]


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("scorecard")
    command = [sys.executable, "-m", "scorecard", "--quick", "--out", str(folder)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-3000:]
    return Made(ended.stdout, ended.stderr, folder)
