"""The watcher's memory: a journal of its steps, a line an entry, each on the disk before the step goes on."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import msgspec
from filelock import FileLock, Timeout

from watch.state import State, folded
from watch.steps import Entry

JOURNAL: Final = "journal.jsonl"
STATUS: Final = "status.json"
_LOCK: Final = "watch.lock"
_PAUSE: Final = "paused"
_HELD: Final = "held-"


class JournalUnusable(Exception):
    """The watcher's folder can't be used; the text says why, and what to do."""


class Folder:
    """What the watcher keeps: the journal, the last status, and what a person ordered (`paused`, `held-VERSION`)."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Held by the one process that takes steps. Raises `JournalUnusable` where there is another."""
        self._made()
        lock = FileLock(self.path / _LOCK)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise JournalUnusable(f"another watcher is at work on {self.path}: end it first") from None
        try:
            yield
        finally:
            lock.release()

    def entries(self) -> list[Entry]:
        """All entries, oldest first. A last line that a kill cut off was never acted upon, and is left out.

        Raises `JournalUnusable` where another line is damaged.
        """
        try:
            lines = (self.path / JOURNAL).read_bytes().split(b"\n")
        except FileNotFoundError:
            return []
        except OSError as error:
            raise JournalUnusable(f"{self.path / JOURNAL} can't be read: {error}") from error
        found = []
        for number, line in enumerate(lines[:-1], 1):  # behind the last line break there is nothing, or a part
            try:
                found.append(msgspec.json.decode(line, type=Entry))
            except (msgspec.MsgspecError, RecursionError) as error:
                raise JournalUnusable(
                    f"line {number} of {self.path / JOURNAL} is damaged ({error}): restore it, or begin from nothing "
                    "with `scoreline watch reset`"
                ) from error
        return found

    def state(self) -> State:
        """What all entries say together."""
        return folded(self.entries())

    def append(self, entry: Entry) -> None:
        """Add an entry; it is on the disk when this returns. Raises OSError."""
        self._made()
        file = self.path / JOURNAL
        if not file.exists() or not file.stat().st_size:
            file.touch()
            _sync(self.path)  # before there is an entry, so that one that is there was written whole
        line = msgspec.json.encode(entry) + b"\n"
        with file.open("r+b", buffering=0) as journal:
            whole = _whole(journal.read())
            journal.truncate(whole)
            journal.seek(whole)
            try:
                if journal.write(line) != len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(file))
                os.fsync(journal.fileno())
            except OSError:
                with suppress(OSError):  # what the disk did not take is no entry, also where all of the line is there
                    journal.truncate(whole)
                raise

    def write(self, name: str, content: bytes) -> None:
        """Put a small file in place of the one before, whole or not at all, durably. Raises OSError."""
        self._made()
        unfinished = self.path / f".{name}"
        with unfinished.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(self.path / name)
        _sync(self.path)

    def paused(self) -> str:
        """Why the watcher is held up; "" where it is not."""
        try:
            return (self.path / _PAUSE).read_bytes()[:300].decode("utf-8", "replace").strip() or "by hand"
        except FileNotFoundError:
            return ""

    def pause(self, why: str) -> None:
        """Hold the watcher up."""
        self.write(_PAUSE, why.encode())

    def resume(self) -> None:
        """Let it go on."""
        (self.path / _PAUSE).unlink(missing_ok=True)

    def held(self) -> tuple[int, ...]:
        """The versions that are never promoted by the watcher, ascending."""
        names = [path.name.removeprefix(_HELD) for path in self.path.glob(f"{_HELD}*")]
        return tuple(sorted(int(name) for name in names if name.isascii() and name.isdecimal() and len(name) < 10))

    def hold(self, version: int) -> None:
        """Keep a version from being promoted."""
        self.write(f"{_HELD}{version}", b"")

    def release(self, version: int) -> None:
        """Let it be promoted again."""
        (self.path / f"{_HELD}{version}").unlink(missing_ok=True)

    def reset(self) -> None:
        """Delete all that the watcher knows and was ordered; the registry and the lake stay as they are."""
        for file in [*self.path.glob("*"), *self.path.glob(".*.json")]:
            if file.is_file() and file.name != _LOCK:
                file.unlink(missing_ok=True)

    def _made(self) -> None:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise JournalUnusable(f"the watcher's folder {self.path} can't be made: {error}") from error


def _whole(content: bytes) -> int:
    """The length of the whole lines at the beginning."""
    return content.rfind(b"\n") + 1


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
