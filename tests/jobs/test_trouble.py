"""What is said of a query that fails or stands still: at once, and then once a minute, with its micro-batch and offsets."""

import logging
import time
from pathlib import Path
from typing import Any

import pytest

from jobs.runtime import trouble as module
from jobs.runtime.errors import Fatal
from jobs.runtime.health import HealthFile
from jobs.runtime.progress import Progress
from jobs.runtime.trouble import Trouble

PLANNED = Progress(6, 1.0, {"t": {"0": 100, "1": 50}}, 7, {"t": {"0": 140, "1": 50}})


@pytest.fixture
def health(tmp_path: Path) -> HealthFile:
    return HealthFile(tmp_path, "detect", 1)


@pytest.fixture
def trouble(health: HealthFile) -> Trouble:
    return Trouble("detect", lambda: PLANNED, health, stalled_after_minutes=0.002)


def progress(micro_batch: int, when: str) -> dict[str, Any]:
    return {"batchId": micro_batch, "timestamp": when, "numInputRows": 0}


def test_a_failure_is_said_with_its_micro_batch_and_offsets_and_in_the_health_file(
    trouble: Trouble, health: HealthFile, caplog: pytest.LogCaptureFixture
) -> None:
    assert trouble.failed(RuntimeError("what it is")) == 1
    assert trouble.failed(RuntimeError("what it is")) == 2
    (warning,) = [
        record.getMessage()
        for record in caplog.records
        if record.name == "jobs.runtime.trouble" and record.levelno == logging.WARNING
    ]
    assert warning == "failed: RuntimeError: what it is [micro-batch 7: t/0 100–140]; starting again in 1 s"
    found = health.health
    assert (found.state, found.attempts, found.micro_batch, found.offsets) == ("failing", 2, 7, PLANNED.planned_end)
    assert found.cause == "RuntimeError: what it is"
    assert found.failing_since is not None


def test_the_same_failure_is_a_warning_once_a_minute_and_another_one_at_once(
    trouble: Trouble, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    for _ in range(100):
        trouble.failed(RuntimeError("the same"))
        now += 10
    trouble.failed(RuntimeError("another"))
    warnings = [
        record.getMessage()
        for record in caplog.records
        if record.name == "jobs.runtime.trouble" and record.levelno == logging.WARNING
    ]
    assert len(warnings) == 18  # 1,000 s, and the other one
    assert "another" in warnings[-1]
    assert "attempt 97 since " in warnings[-2]


def test_the_pause_grows_to_half_a_minute_and_starts_small_after_progress(trouble: Trouble) -> None:
    assert [trouble.failed(RuntimeError()) for _ in range(8)] == [1, 2, 4, 8, 16, 30, 30, 30]
    trouble.look(progress(7, "a"), busy=False, doing="")
    assert trouble.failed(RuntimeError()) == 1


def test_a_micro_batch_that_does_not_end_is_seen_and_progress_makes_it_well_again(
    trouble: Trouble, health: HealthFile, caplog: pytest.LogCaptureFixture
) -> None:
    trouble.look(progress(6, "a"), busy=True, doing="Processing new data")
    assert health.health.state == "running"
    time.sleep(0.2)
    trouble.look(progress(6, "a"), busy=True, doing="Processing new data")
    assert health.health.state == "stalled"
    assert "no progress for 0 min, at: Processing new data [micro-batch 7: t/0 100–140]" in caplog.text
    trouble.look(progress(7, "b"), busy=True, doing="")
    assert (health.health.state, health.health.cause) == ("running", None)


def test_waiting_for_records_is_no_standing_still(trouble: Trouble, health: HealthFile) -> None:
    for _ in range(3):
        trouble.look(progress(6, "a"), busy=False, doing="Waiting for data to arrive")
        time.sleep(0.1)
    assert health.health.state == "running"


def test_what_ended_for_good_stays_so_in_the_health_file(trouble: Trouble, health: HealthFile) -> None:
    trouble.fatal(Fatal("set --x to y"))
    trouble.stopped()
    assert (health.health.state, health.health.cause) == ("ended", "set --x to y")


def test_no_progress_is_reported_once_and_that_it_goes_on_too(health: HealthFile) -> None:
    reported: list[tuple[str, bool]] = []
    trouble = Trouble(
        "detect", lambda: PLANNED, health, 0.002, lambda words, resolved: reported.append((words, resolved))
    )
    for attempt in range(5):
        trouble.failed(RuntimeError("what it is"))
        assert len(reported) == (attempt >= 2)
    trouble.look(progress(7, "now"), True, "at work")
    trouble.look(progress(8, "then"), True, "at work")
    time.sleep(0.15)
    trouble.look(progress(8, "then"), True, "waiting")
    trouble.look(progress(8, "then"), True, "waiting")
    assert reported[:2] == [("fails again and again: RuntimeError: what it is", False), ("goes on", True)]
    assert [(words.split(",")[0], over) for words, over in reported[2:]] == [("no progress for 0 min", False)]
