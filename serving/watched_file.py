"""A settings file that may change while the service runs: it is looked at once a second."""

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

_log = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 1.0


class WatchedFile:
    """Calls `changed` when a file is another one than at the last look, or was written, or who may read it has changed; a file
    that is gone is not a change."""

    def __init__(self, path: Path, changed: Callable[[], None]) -> None:
        self._path = path
        self._changed = changed
        self._stamp = self._stamp_now()

    def start(self) -> None:
        """Look at it from now on, in a thread of its own; what `changed` raises is logged, and the next look comes."""
        threading.Thread(target=self._poll, name=self._path.name, daemon=True).start()

    def look(self) -> None:
        """One look."""
        stamp = self._stamp_now()
        if stamp is not None and stamp != self._stamp:
            self._stamp = stamp
            self._changed()

    def _poll(self) -> None:
        while True:
            time.sleep(_LOOK_SECONDS)
            try:
                self.look()
            except Exception:  # noqa: BLE001  # one look that fails is not the last one
                _log.exception("%s could not be read again; what was read before stays in force", self._path)

    def _stamp_now(self) -> tuple[int, ...] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        # A copy may keep the time, and a key is as long as another one; the inode's own time nobody sets.
        return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino, found.st_dev
