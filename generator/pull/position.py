"""How far a pull came, durably: one small file for each mapping, which one process at a time may hold."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec
from filelock import FileLock, Timeout

from generator.pull.errors import PullError

LEAST_SEEN: Final = 10_000
"""So many of the last records are known again, however small the pages are."""


class Position(msgspec.Struct):
    """Where a pull of one service into one topic goes on.

    request: the page to ask for next; None for the first one. since: what the first one is asked by. largest, order: the
    largest value so far of what `since` takes, and what it is compared by. seen: which records are done, the last ones;
    edge: those among all of them whose value is the largest. pulled, dead_letters: how many there were ever.
    """

    service: str
    topic: str
    paging: str
    request: str | None = None
    since: str | None = None
    largest: str | None = None
    order: float | str | None = None
    seen: list[str] = []
    edge: list[str] = []
    pulled: int = 0
    dead_letters: int = 0

    def remember(self, done: list[str], page: int) -> None:
        """So many records of a page of some size are done too."""
        self.seen = [*self.seen, *done][-max(LEAST_SEEN, 2 * page) :]


class KeptPosition:
    """The file of a position."""

    def __init__(self, file: Path) -> None:
        self.file = file

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold it until the end, or until the process is no more. Raises PullError where another process does."""
        self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            with FileLock(self.file.with_suffix(".lock"), timeout=0, mode=0o600):
                yield
        except Timeout:
            raise PullError(f"another pull holds {self.file}: end that one, or name another folder by --work") from None

    def read(self, wanted: Position) -> Position:
        """What was kept, or what is wanted where nothing was. Raises PullError where it is of another service or topic."""
        try:
            content = self.file.read_bytes()
        except FileNotFoundError:
            return wanted
        try:
            kept = msgspec.json.decode(content, type=Position)
        except (ValueError, RecursionError) as error:
            raise PullError(f"{self.file} is damaged ({error}): delete it to begin at the front") from None
        for what in ("service", "topic", "paging"):
            if getattr(kept, what) != getattr(wanted, what):
                raise PullError(
                    f"{self.file} is the position of a pull with another {what} ({getattr(kept, what)} there, "
                    f"{getattr(wanted, what)} here): name another folder by --work, or delete it to begin at the front"
                )
        return kept

    def write(self, position: Position) -> None:
        """Keep it: once this returns, neither a kill nor a loss of power loses it."""
        new = self.file.with_suffix(".new")
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as out:
            out.write(msgspec.json.encode(position))
            out.flush()
            os.fsync(out.fileno())
        new.replace(self.file)
        folder = os.open(self.file.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
