"""One application at a time on a query of a checkpoint, shown with the real one."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from jobs.runtime.checkpoint import scratch_folder
from jobs.runtime.claim import holder_of, is_held
from settings import Settings
from tests.integration.application import Application, status_of
from tests.integration.traffic import messages, scores, send, traffic

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

Start = Callable[..., Application]


def test_a_second_application_is_refused_in_one_line_and_the_first_does_not_notice(
    settings: Settings, start: Start, tmp_path: Path
) -> None:
    settings = settings.model_copy(update={"publish": False})
    first = start(settings)
    send(settings, messages(traffic(1_000, customers=100, seed=81)))
    first.wait_for_commit()
    second = start(settings.model_copy(update={"log_dir": tmp_path / "second"}))
    assert second.wait() == 1
    said = [line for line in second.output.splitlines() if line.strip()]
    assert len(said) == 1, said
    assert said[0].startswith(
        f"error: the checkpoint {settings.checkpoint} is in use: detect runs as process {first.pid} on "
    )
    assert "--checkpoint" in said[0]
    before = len(scores(settings))
    send(settings, messages(traffic(1_000, customers=100, seed=82)))
    first.wait_until(lambda: len(scores(settings)) == before + 1_000 or len(scores(settings)) == 2_000, "more scores")
    assert "WARNING" not in first.output.replace("no --initial-state", "").split("Scoreline is ready")[1]
    scratch = scratch_folder(settings.checkpoint, "detect")
    assert list(scratch.rglob("scoreline-state/*/*/about"))
    first.kill()
    (scratch / "left behind").write_text("by who was killed")
    third = start(settings)

    def held_by_the_third() -> bool:
        holder = holder_of(Path(settings.checkpoint), "detect")
        return holder is not None and holder.pid == third.pid and is_held(Path(settings.checkpoint), "detect")

    third.wait_until(held_by_the_third, "the lock of who was killed")
    third.wait_until(
        lambda: "Scoreline is ready" in third.output.split("Scoreline is ready", 1)[1], "the third's ready line"
    )
    assert not (scratch / "left behind").exists()
    assert third.stop() == 0
    assert not scratch.exists()


def test_of_two_that_start_at_the_same_time_one_wins(settings: Settings, start: Start, tmp_path: Path) -> None:
    settings = settings.model_copy(update={"publish": False})
    both = [start(settings.model_copy(update={"log_dir": tmp_path / name})) for name in ("one", "two")]
    deadline = time.monotonic() + 120
    while all(one.running for one in both) and time.monotonic() < deadline:
        time.sleep(0.2)
    (winner,) = [one for one in both if one.running]
    (loser,) = [one for one in both if not one.running]
    assert "is in use" in loser.output
    send(settings, messages(traffic(500, customers=100, seed=83)))
    winner.wait_for_commit()
    assert winner.stop() == 0


def test_publish_may_run_by_itself_beside_a_detect_without_it(settings: Settings, start: Start, tmp_path: Path) -> None:
    alone = settings.model_copy(update={"publish": False})
    detect = start(alone)
    publish = start(settings.model_copy(update={"log_dir": tmp_path / "publish"}), "--job", "publish")
    send(settings, messages(traffic(500, customers=100, seed=84)))
    detect.wait_for_commit()
    published = Path(settings.checkpoint) / "publish" / "commits" / "0"
    publish.wait_until(published.exists, "publish's first commit")
    found = {one["query"]: one for one in msgspec.json.decode(status_of(settings, "--json")[1])}
    assert {name: one["running"] for name, one in found.items()} == {"detect": True, "publish": True}
    assert detect.stop() == publish.stop() == 0


def test_a_start_right_after_one_process_of_an_application_was_killed_waits_for_the_end_of_the_other(
    settings: Settings, start: Start
) -> None:
    settings = settings.model_copy(update={"publish": False})
    send(settings, messages(traffic(500, customers=100, seed=85)))
    first = start(settings)
    first.wait_for_commit()
    holder = holder_of(Path(settings.checkpoint), "detect")
    assert holder is not None
    for victim in ("python_pid", "pid"):
        os.kill(getattr(holder, victim), signal.SIGKILL)
        again = start(settings)

        def taken(pid: int = again.pid) -> bool:
            holder = holder_of(Path(settings.checkpoint), "detect")
            return holder is not None and holder.pid == pid and is_held(Path(settings.checkpoint), "detect")

        again.wait_until(taken, "the lock of who was killed")
        holder = holder_of(Path(settings.checkpoint), "detect")
        assert holder is not None
        assert holder.pid == again.pid
    assert "is in use" not in first.output
    assert again.stop() == 0
