"""What happens around the watcher: a full disk, a registry that is gone, clocks that are set, and others who begin with it."""

import errno
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from filelock import FileLock
from mlflow import MlflowClient

from ml.commands import champion as commands
from ml.registry.model_store import ModelStore
from settings import Settings
from tests.watch.test_decision import NOW, PROMOTED, _at
from tests.watch.test_watcher import (  # noqa: F401  # a fixture
    DAY,
    START,
    Trainer,
    World,
    judged,
    live_on,
    watcher_of,
)
from watch import __main__ as command_line
from watch.journal import Folder
from watch.seen import Live
from watch.state import Open
from watch.status import read_status
from watch.steps import Entry, Step, Wait
from watch.worker import BUSY, LOCK, ProcessWorker

DONE = [
    *("note", "alarm", "train", "gate", "challenge", "gate", "challenge", "promote", "challenge", "rollback"),
    "withdraw",
]


def test_a_disk_that_is_full_at_each_write_costs_time_and_nothing_else(
    judged: tuple[ModelStore, Trainer],  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    registry, trainer = judged
    world, came, sync = World(registry), set[int](), os.fsync

    def full(descriptor: int) -> None:
        """Each file of each length finds no room at first; it is cut off by that, or whole but perhaps not on the disk."""
        found = os.fstat(descriptor)
        if stat.S_ISREG(found.st_mode) and found.st_size not in came:
            came.add(found.st_size)
            if len(came) % 2:
                os.ftruncate(descriptor, max(0, found.st_size - 7))
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    watcher = watcher_of(tmp_path / "watch", world, trainer)

    def live(days: float) -> None:
        world.now += int(days * DAY)
        decision: Step | Wait = Wait("No space left")
        while isinstance(decision, Step) or watcher.state.work is not None or "No space left" in decision.why:
            decision = watcher.look()

    live(0)
    world.alarms = ("amount",)
    live(0)
    world.alarms = ()
    for _ in range(3):
        live(1)
    assert (registry.champion(), registry.previous()) == (2, 1)
    world.live = Live(1_000, 900)
    live(0)
    assert registry.champion() == 1
    assert len(came) > 20
    entries = Folder(tmp_path / "watch").entries()
    assert [entry.step.kind for entry in entries if entry.phase == "done"] == DONE
    assert entries == watcher.entries


def test_while_the_registry_is_gone_nothing_is_decided_and_then_it_goes_on(
    judged: tuple[ModelStore, Trainer],  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    registry, trainer = judged
    world = World(registry)
    watcher = watcher_of(tmp_path / "watch", world, trainer)
    live_on(watcher, world, 1)
    before = list(watcher.entries)

    def gone(*_: object) -> None:
        raise ConnectionRefusedError("nobody is there")

    with monkeypatch.context() as patched:
        patched.setattr(MlflowClient, "get_model_version_by_alias", gone)
        world.alarms = ("amount",)
        decision = watcher.look()
        assert isinstance(decision, Wait)
        assert "nothing is decided: the model registry" in decision.why
        found = read_status(watcher.folder)
        assert found is not None
        assert (found.doing, found.why) == ("blind", decision.why)
    assert watcher.entries == before
    live_on(watcher, world, 0)
    assert watcher.state.alarm_since is not None


def test_a_step_that_fails_in_a_way_that_nobody_thought_of_waits_before_it_is_repeated(
    judged: tuple[ModelStore, Trainer],  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    registry, trainer = judged
    world = World(registry, alarms=("amount",))
    watcher, tried = watcher_of(tmp_path / "watch", world, trainer), list[int]()
    watcher.clock = lambda: world.now / 1000

    def broken(version: int, **_: object) -> None:
        tried.append(version)
        raise ZeroDivisionError("a mistake of ours")

    with monkeypatch.context() as patched:
        patched.setattr(commands, "challenge_command", broken)
        while not tried:
            world.now += DAY // 2
            live_on(watcher, world, 0)
        assert watcher.state.failures == len(tried) == 1
        assert "ZeroDivisionError: a mistake of ours" in watcher.entries[-1].said
        assert isinstance(watcher.look(), Wait)
    world.now += 3_600_000
    live_on(watcher, world, 0)
    assert registry.on_trial() is not None


def test_a_folder_that_became_something_else_stops_no_watcher(
    judged: tuple[ModelStore, Trainer],  # noqa: F811
    tmp_path: Path,
) -> None:
    registry, trainer = judged
    world = World(registry)
    watcher = watcher_of(tmp_path / "watch", world, trainer)
    live_on(watcher, world, 0)
    (tmp_path / "watch").rename(tmp_path / "away")
    (tmp_path / "watch").touch()
    assert isinstance(watcher.look(), Wait)
    (tmp_path / "watch").unlink()
    (tmp_path / "away").rename(tmp_path / "watch")
    live_on(watcher, world, 0)
    assert Folder(tmp_path / "watch").entries() == watcher.entries


def test_a_clock_that_was_set_back_holds_up_no_step_that_failed_before() -> None:
    failed = msgspec.structs.replace(PROMOTED, failures=3, failed="train", failed_at=NOW + 9 * 86_400_000)
    assert "the last step failed" not in _at({"champion": 2}, failed).why


def test_what_another_watcher_wrote_to_the_last_is_known_to_the_next_one(
    judged: tuple[ModelStore, Trainer],  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One is started while another ends: it has read nothing before it holds the folder."""
    registry, trainer = judged
    folder, alone = tmp_path / "watch", Folder.alone

    @contextmanager
    def as_another_ends(self: Folder) -> Iterator[None]:
        live_on(watcher_of(folder, World(registry), trainer), World(registry), 0)
        with alone(self):
            yield

    monkeypatch.setattr(Folder, "alone", as_another_ends)
    monkeypatch.setenv("SCORELINE_WATCH_FOLDER", str(folder))
    monkeypatch.setenv("SCORELINE_LAKE", str(tmp_path / "lake"))
    monkeypatch.setattr(sys, "argv", ["scoreline watch", "--once"])
    (tmp_path / "lake").mkdir()
    with pytest.raises(SystemExit) as ended:
        command_line.main()
    assert not ended.value.code
    entries = Folder(folder).entries()
    assert [(entry.id, entry.phase) for entry in entries] == [("000001", "begun"), ("000001", "done")]


def test_a_long_step_that_an_earlier_watcher_s_process_has_begun_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may hold its lock only after the next watcher has looked for it: the process that comes second leaves it the step."""
    folder = Folder(tmp_path / "watch")
    step = Step("train", "a test", champion=1, detector="xgboost", since=0, until=1)
    folder.append(Entry("000001", START, START, "begun", step))
    monkeypatch.setattr(sys, "argv", ["scoreline watch", "work", "--folder", str(folder.path), "000001"])
    worker, work = ProcessWorker(folder, Settings.from_command_line([])), Open("000001", step, START)
    with FileLock(folder.path / LOCK):
        with pytest.raises(SystemExit) as second:
            command_line.main()
        assert second.value.code == BUSY
        worker._process = subprocess.Popen([sys.executable, "-S", "-c", f"raise SystemExit({BUSY})"])
        worker._process.wait(60)
        assert worker.poll(work) is None  # no failure
        assert worker.poll(work) is None
        assert worker._process is None  # and none is started, as long as the other one works
