"""The answers of the last ten minutes on disk, so that a restart gives them again.

A killed process loses none: each is handed to the operating system before it is given. Where the machine itself stops, those
of the last seconds may be lost; their transactions are then answered 409, with the place of the first.
"""

import errno
import logging
import os
import time
from collections import deque
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final

import msgspec
import xxhash

from serving.answers import Answer

_log = logging.getLogger(__name__)

_FILE_SECONDS: Final = 60
_NAME: Final = "{}.jsonl"


class Given(msgspec.Struct, array_like=True):
    """An answer, when it was given (Unix seconds), and to which payment: its customer and a hash of its contents."""

    at: float
    customer_id: str
    contents: int
    answer: Answer


_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Given).decode
_DIGEST_BYTES: Final = 8
_MOST_HELD: Final = 200_000
_MOST_AT_ONCE: Final = 1_000


class AnswerLog:
    """A file a minute in a folder of its own; those that are too old are deleted. For one thread."""

    def __init__(self, folder: Path, kept_seconds: float = 600.0) -> None:
        self._folder = folder
        self._kept_seconds = kept_seconds
        self._minute = 0
        self._file: int | None = None
        self._failing = False
        self._torn = False
        self._held: deque[bytes] = deque(maxlen=_MOST_HELD)

    @property
    def is_behind(self) -> bool:
        """Whether answers wait to be written: no snapshot may be taken then, which would make a restart forget them."""
        return bool(self._held)

    def clear(self) -> None:
        """Forget everything: the log begins again."""
        for file in self._folder.glob("*.jsonl"):
            file.unlink()

    def read(self) -> Iterator[tuple[float, Given]]:
        """(age in seconds, answer) of those that count still, the oldest first.

        A line that a kill cut off, or that is not what was written, is left out, and reported.
        """
        now, damaged = time.time(), 0
        for file in sorted(self._folder.glob("*.jsonl"), key=lambda each: (len(each.name), each.name)):
            for line in filter(None, file.read_bytes().split(b"\n")):
                given = _read(line)
                damaged += given is None
                if given is not None and now - given.at < self._kept_seconds:
                    yield max(0.0, now - given.at), given
        if damaged:
            _log.warning("%d lines of the answers in %s can't be read, and are left out", damaged, self._folder)

    def add(self, given: Given) -> None:
        """Take an answer, to be written by the next `write`: one call of the system for all that are given together."""
        content = _encode(given)
        self._held.append(xxhash.xxh3_64_digest(content).hex().encode() + content + b"\n")

    def write(self) -> bool:
        """Write what was added; whether all of it is written. While the disk is full it is held, which is reported once."""
        now = time.time()
        try:
            while self._held:
                self._write(now)
        except OSError as error:
            if not self._failing:
                _log.error("answers can't be written (%s): a restart would not know them", error)
            self._failing = True
            return False
        self._failing = False
        return True

    def _write(self, now: float) -> None:
        if self._file is None or now // _FILE_SECONDS != self._minute:
            self._next(now)
        assert self._file is not None
        begin = b"\n" if self._torn else b""
        whole = begin + b"".join(islice(self._held, _MOST_AT_ONCE))
        self._torn = True
        left = written = os.write(self._file, whole)
        left -= len(begin)
        while self._held and left >= len(self._held[0]):
            left -= len(self._held.popleft())
        self._torn = left != 0
        if written != len(whole):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

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
        self._torn = os.fstat(self._file).st_size > 0  # a kill may have cut off its last line
        oldest = self._minute - self._kept_seconds // _FILE_SECONDS - 1
        for file in self._folder.glob("*.jsonl"):
            if file.stem.isdigit() and int(file.stem) < oldest:
                file.unlink(missing_ok=True)


def _read(line: bytes) -> Given | None:
    digest, content = line[: 2 * _DIGEST_BYTES], line[2 * _DIGEST_BYTES :]
    if xxhash.xxh3_64_digest(content).hex().encode() != digest:
        return None
    try:
        return _decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
