"""The answers of the last ten minutes on disk, so that a restart gives them again.

A killed process loses none: each is handed to the operating system before it is given. Where the machine itself stops, those
of the last seconds may be lost; their transactions are then answered 409, with the place of the first.
"""

import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from serving.answers import Answer

_log = logging.getLogger(__name__)

_FILE_SECONDS: Final = 60
_NAME: Final = "{}.jsonl"


class _Kept(msgspec.Struct, array_like=True):
    """An answer and when it was given, Unix seconds."""

    at: float
    answer: Answer


_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(_Kept).decode


class AnswerLog:
    """A file a minute in a folder of its own; those that are too old are deleted. For one thread."""

    def __init__(self, folder: Path, kept_seconds: float = 600.0) -> None:
        self._folder = folder
        self._kept_seconds = kept_seconds
        self._minute = 0
        self._file: int | None = None
        self._failing = False

    def clear(self) -> None:
        """Forget everything: the log begins again."""
        for file in self._folder.glob("*.jsonl"):
            file.unlink()

    def read(self) -> Iterator[tuple[float, Answer]]:
        """(age in seconds, answer) of those that count still, the oldest first. A line that a kill cut off is left out."""
        now = time.time()
        for file in sorted(self._folder.glob("*.jsonl"), key=lambda each: (len(each.name), each.name)):
            for line in file.read_bytes().splitlines():
                try:
                    kept = _decode(line)
                except (msgspec.DecodeError, UnicodeDecodeError):
                    continue
                if 0 <= now - kept.at < self._kept_seconds:
                    yield now - kept.at, kept.answer

    def add(self, answer: Answer) -> None:
        """Write an answer. A disk that is full is reported once, and the service goes on."""
        now = time.time()
        try:
            if self._file is None or now // _FILE_SECONDS != self._minute:
                self._next(now)
            assert self._file is not None
            os.write(self._file, _encode(_Kept(now, answer)) + b"\n")
            self._failing = False
        except OSError as error:
            if not self._failing:
                _log.error("answers can't be written (%s): a restart would not know them", error)
            self._failing = True

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _next(self, now: float) -> None:
        self.close()
        self._folder.mkdir(parents=True, exist_ok=True)
        self._minute = int(now // _FILE_SECONDS)
        path = self._folder / _NAME.format(self._minute)
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        if os.fstat(self._file).st_size:
            os.write(self._file, b"\n")  # after a line that a kill may have cut off
        oldest = self._minute - self._kept_seconds // _FILE_SECONDS - 1
        for file in self._folder.glob("*.jsonl"):
            if file.stem.isdigit() and int(file.stem) < oldest:
                file.unlink(missing_ok=True)
