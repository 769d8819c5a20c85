"""What a person reads when a job can't start: one line with the mend, and no stack trace."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def submitted(*flags: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "jobs", "submit", *flags]
    return subprocess.run(
        command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, timeout=120, check=False
    )


def test_an_unreachable_broker_is_one_line_that_names_it(tmp_path: Path) -> None:
    done = submitted(KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1", SCORELINE_LOG_DIR=str(tmp_path))
    said = [line for line in done.stdout.splitlines() if line.strip()]
    assert done.returncode == 1
    assert said[-1].startswith("error: Kafka does not answer at 127.0.0.1:1")
    assert "KAFKA_BOOTSTRAP_SERVERS" in said[-1]
    assert len(said) == 1


def test_a_wrong_setting_is_one_line_that_names_the_flag() -> None:
    done = submitted("--state-partitions", "x")
    assert done.returncode == 2
    [said] = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    assert "--state-partitions" in said


def test_without_java_it_says_what_is_needed(tmp_path: Path) -> None:
    done = submitted(PATH=str(tmp_path), JAVA_HOME="")
    assert done.returncode == 1
    assert "Java 17" in done.stderr
    assert "Traceback" not in done.stderr
