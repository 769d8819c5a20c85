"""A settings file that may change while the page runs: it is looked at when it is asked for, at most once a second."""

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Generic, TypeVar

from page.errors import PageError

_log = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 1.0

T = TypeVar("T")


class KeptFile(Generic[T]):
    """What a file holds. A change that can't be read is logged, and what was read before stays in force; so does what was in a
    file that is gone. Safe to use by several threads."""

    def __init__(self, path: Path, read: Callable[[Path], T], clock: Callable[[], float] = time.monotonic) -> None:
        """Raises `PageError` where the file can't be read now."""
        self._path, self._read, self._clock = path, read, clock
        self._lock = threading.Lock()
        self._stamp = self._stamp_now()
        self._value = self._checked()
        self._looked_at = clock()

    @property
    def value(self) -> T:
        """What the file held when it was last sound."""
        with self._lock:
            now = self._clock()
            if now - self._looked_at >= _LOOK_SECONDS:
                self._looked_at = now
                self._look()
            return self._value

    def _look(self) -> None:
        stamp = self._stamp_now()
        if stamp is None or stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._value = self._checked()
        except PageError as error:
            _log.error("%s; what it held before stays in force", error)
        else:
            _log.info("%s was read again", self._path)

    def _checked(self) -> T:
        try:
            if not self._path.is_file():  # a pipe would be waited for
                raise PageError(f"{self._path} can't be read: there is no such file")
            return self._read(self._path)
        except (OSError, ValueError) as error:
            raise PageError(f"{self._path} can't be read: {' '.join(str(error).split())}") from error

    def _stamp_now(self) -> tuple[int, ...] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino
