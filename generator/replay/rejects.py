"""The rows that do not fit: counted, the first ones kept to be shown, all written to a file."""

import os
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import msgspec

from generator.replay.source import Reject

SHOWN = 10


class Rejects:
    """A file of rejects as JSON lines: row, reason, text. It appears with the first one.

    count, bytes: how many there are, and the file's length; after an earlier run, with those of that run, whose later ones
    are cut off.
    """

    def __init__(self, file: Path, count: int = 0, length: int = 0) -> None:
        self.file, self.count, self.bytes = file, count, length
        self.shown: list[Reject] = []
        self._out: BinaryIO | None = None

    def __enter__(self) -> Self:
        if self.bytes:
            os.truncate(self.file, self.bytes)
        else:
            self.file.unlink(missing_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._out:
            self._out.close()

    def add(self, rejects: Iterable[Reject]) -> None:
        """Rows that do not fit, in the order of the file."""
        for reject in rejects:
            if self._out is None:
                self.file.parent.mkdir(parents=True, exist_ok=True)
                self._out = self.file.open("ab")
            self.bytes += self._out.write(msgspec.json.encode(reject._asdict()) + b"\n")
            self.count += 1
            if len(self.shown) < SHOWN:
                self.shown.append(reject)
        if self._out:
            self._out.flush()

    def in_words(self) -> str:
        """How many rows do not fit, and the first of them, a line each."""
        if not self.count:
            return "all rows fit"
        lines = [f"  {reject.row:,}: {reject.reason}" for reject in self.shown]
        return "\n".join([f"{self.count:,} rows do not fit, all of them in {self.file}; the first:", *lines])
