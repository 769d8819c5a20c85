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

pytestmark = [pytest.mark.long, pytest.mark.timeout(1200)]

Start = Callable[..., Application]


def test_of_two_that_start_at_the_same_time_one_wins_and_whoever_comes_after_its_kill_goes_on(
    settings: Settings, start: Start, tmp_path: Path
) -> None:
    settings = settings.model_copy(update={"publish": False})
    places = {name: settings.model_copy(update={"log_dir": tmp_path / name}) for name in ("one", "two")}
    send(settings, messages(traffic(500, customers=100, seed=83)))
    both = [start(place) for place in places.values()]
    deadline = time.monotonic() + 300
    while all(one.running for one in both) and time.monotonic() < deadline:
        time.sleep(0.2)
    (winner,) = [one for one in both if one.running]
    (loser,) = [one for one in both if not one.running]
    assert loser.wait() == 1
    said = [line for line in loser.output.splitlines() if line.strip()]
    assert len(said) == 1, said
    assert said[0].startswith(
        f"error: the checkpoint {settings.checkpoint} is in use: detect runs as process {winner.pid} on "
    )
    assert "--checkpoint" in said[0]
    winner.wait_for_commit()
    send(settings, messages(traffic(500, customers=100, seed=84)))
    winner.wait_until(lambda: len(scores(settings)) == 1_000, "more scores")
    assert "WARNING" not in winner.output.replace("no --initial-state", "").split("Scoreline is ready")[1]
    # Java is killed: the next start waits until all of it has ended, and judges no record otherwise than the first did.
    holder = holder_of(Path(settings.checkpoint), "detect")
    assert holder is not None
    os.kill(holder.pid, signal.SIGKILL)
    third = start(settings)
    third.wait_until(lambda: is_held_by(settings, third.pid), "the lock of who was killed")
    send(settings, messages(traffic(500, customers=100, seed=85)))
    third.wait_until(lambda: len(scores(settings)) == 1_500, "the scores after the kill")
    assert "is in use" not in third.output
    assert third.stop() == 0
    assert not scratch_folder(settings.checkpoint, "detect").exists()


def is_held_by(settings: Settings, pid: int) -> bool:
    """Whether detect's checkpoint is the application's whose JVM this is."""
    holder = holder_of(Path(settings.checkpoint), "detect")
    return holder is not None and holder.pid == pid and is_held(Path(settings.checkpoint), "detect")


def test_a_second_application_is_refused_and_whoever_comes_after_a_kill_waits_for_all_of_it_to_end(
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

    (scratch / "left behind").write_text("by who is killed")
    # One of its processes is killed, and then one of the next one's: a start right after that waits for the other to end.
    for victim in ("python_pid", "pid"):
        holder = holder_of(Path(settings.checkpoint), "detect")
        assert holder is not None
        os.kill(getattr(holder, victim), signal.SIGKILL)
        third = start(settings)
        third.wait_until(lambda pid=third.pid: is_held_by(settings, pid), "the lock of who was killed")  # type: ignore[misc]
    assert "is in use" not in third.output
    third.wait_until(lambda: f"Stop it: Ctrl-C or kill {third.pid}" in third.output, "the third's ready line")
    assert not (scratch / "left behind").exists()
    assert third.stop() == 0
    assert not scratch.exists()


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
