"""What is written beside a checkpoint on a local disk is there whole, under its name, or not at all."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from detection import durable_folder
from jobs.runtime.storage import DurableFolder


@pytest.fixture
def folder(tmp_path: Path) -> DurableFolder:
    return DurableFolder.on_disk(tmp_path / "made" / "here")


def test_what_was_written_is_read_and_listed_until_it_is_deleted(folder: DurableFolder) -> None:
    assert (folder.read("a"), folder.names()) == (None, [])
    folder.write("a", b"1")
    folder.write("b", b"")
    assert (folder.read("a"), folder.read("b"), sorted(folder.names())) == (b"1", b"", ["a", "b"])
    folder.delete("a")
    folder.delete("a")
    assert (folder.read("a"), folder.names()) == (None, ["b"])


@pytest.mark.parametrize("links", [True, False])
def test_a_file_that_is_there_is_never_replaced(
    folder: DurableFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, links: bool
) -> None:
    if not links:  # as on some mounted file systems

        def refuse(*_: object) -> None:
            raise PermissionError

        monkeypatch.setattr(os, "link", refuse)
    folder.write("a", b"1")
    with pytest.raises(FileExistsError):
        folder.write("a", b"2")
    assert (folder.read("a"), [file.name for file in (tmp_path / "made" / "here").iterdir()]) == (b"1", ["a"])


def test_a_crash_at_any_step_leaves_the_whole_file_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each call that reaches the disk fails in turn; what is left is read as by the next start."""
    for failing in range(4):
        folder = DurableFolder.on_disk(tmp_path / str(failing))
        with monkeypatch.context() as patch:
            calls = Calls(failing)
            for name in ("fsync", "link"):
                patch.setattr(os, name, calls.guarded(getattr(os, name)))
            with suppress(KeyboardInterrupt):
                folder.write("a", b"whole")
        assert calls.made == min(failing + 1, 3)
        again = DurableFolder.on_disk(tmp_path / str(failing))
        assert again.read("a") == (None if failing < 2 else b"whole")
        assert again.names() == ([] if failing < 2 else ["a"])


class Calls:
    """Counts calls, of which one is cut off."""

    def __init__(self, failing: int) -> None:
        self._failing = failing
        self.made = 0

    def guarded(self, real: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object) -> object:
            self.made += 1
            if self.made - 1 == self._failing:
                raise KeyboardInterrupt
            return real(*arguments)

        return call


def test_file_and_name_are_on_the_disk_when_write_returns(
    folder: DurableFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In this order: the content, then the name that leads to it, then the folder that holds the name."""
    order: list[str] = []
    real_sync, real_link = os.fsync, os.link

    def fsync(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        order.append("folder" if path.is_dir() else f"content of {path.stat().st_size}")
        real_sync(descriptor)

    def link(source: Path, target: Path) -> None:
        order.append("name")
        real_link(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "link", link)
    folder.write("a", b"12345")
    assert order == ["content of 5", "name", "folder"]


def test_the_newest_is_read_also_where_an_older_one_was_left_behind(folder: DurableFolder) -> None:
    for number in range(12):
        folder.write_newest("used", str(number).encode())
    assert folder.names() == ["used.11"]
    folder.write("used.10", b"10")
    assert folder.read_newest("used") == b"11"
    folder.write_newest("used", b"12")
    assert (folder.names(), folder.read_newest("used")) == (["used.12"], b"12")


def test_a_new_folders_own_name_is_on_the_disk_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[Path] = []
    monkeypatch.setattr(durable_folder, "_sync", synced.append)
    DurableFolder.on_disk(tmp_path / "made" / "here")
    assert set(synced) == {tmp_path, tmp_path / "made"}
