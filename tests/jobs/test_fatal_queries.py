"""Whose failure ends the application: that of its own query, and of no other."""

from typing import Any

import pytest

from jobs.runtime import supervisor
from jobs.runtime.errors import Fatal
from jobs.runtime.gate import Gate
from jobs.runtime.supervisor import Supervisor
from settings import Settings


def never(*_: object) -> None:
    raise AssertionError("no query is started here")


def supervisor_of(*queries: str) -> Supervisor:
    starters: dict[str, Any] = dict.fromkeys(queries, never)
    ending: Any = None  # what ends the process has no part in this
    return Supervisor(Settings(), starters, {}, Gate(), ending)


@pytest.fixture
def kept() -> Supervisor:
    return supervisor_of("detect", "publish", "thresholds")


@pytest.mark.parametrize("query", ["publish", "thresholds"])
def test_what_is_fatal_to_panels_or_thresholds_is_logged_and_tried_again(
    kept: Supervisor, query: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    waited: list[float] = []
    monkeypatch.setattr(kept._gate, "wait", waited.append)
    kept._stop_for(Fatal("records are lost"), query)
    assert not kept._gate.closed
    assert kept._fatal is None
    assert waited == [supervisor._FATAL_PAUSE_SECONDS]
    assert "records are lost; detect goes on; trying again in 60 s" in caplog.text


def test_what_is_fatal_to_the_application_s_own_query_ends_it(kept: Supervisor) -> None:
    kept._stop_for(Fatal("records are lost"), "detect")
    assert kept._gate.closed
    assert str(kept._fatal) == "records are lost"


def test_publish_alone_ends_by_its_own_failure() -> None:
    alone = supervisor_of("publish")
    alone._stop_for(Fatal("records are lost"), "publish")
    assert alone._gate.closed
