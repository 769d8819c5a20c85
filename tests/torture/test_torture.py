"""A short torture: the real servers and the real application, killed and cut off, and every record accounted for."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.long
@pytest.mark.alone
@pytest.mark.timeout(1200)
def test_a_short_torture_loses_nothing_and_judges_everything_as_the_reference(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "torture",
        "--minutes",
        "4",
        "--kills",
        "11",
        "--rate",
        "500",
        "--patience",
        "400",
        "--keep",
    ]
    done = subprocess.run(
        [*command, "--data", str(tmp_path), "--results", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-6_000:] + done.stdout[-2_000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["lost"] == found["differing"] == found["points_missing"] == found["order_undefined_differing"] == 0
    assert found["records"] > 10_000
    assert found["hostile"] > 500
    assert found["kills"] >= 8
    [written] = tmp_path.glob("*-torture.json")
    assert json.loads(written.read_text())["figures"]["examples"] == []
