"""Checks something outside at intervals, in the background, so that no record waits for it."""

import logging
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable

_log = logging.getLogger(__name__)


class Poller(ABC):
    """Calls `look` in a thread of its own; while that fails, what was found last stays in use."""

    def __init__(self, polled: str, poll_seconds: float) -> None:
        self._polled = polled
        self._poll_seconds = poll_seconds
        self._unavailable = False

    @abstractmethod
    def look(self) -> None:
        """Take up what is new. Raises whatever is wrong with what is polled."""

    @property
    @abstractmethod
    def in_use(self) -> str:
        """What scoring goes on with, for the log."""

    @property
    def available(self) -> bool:
        """Whether what is polled answered at the last look."""
        return not self._unavailable

    def look_once(self) -> None:
        """Look now, and wait for it; while that fails, what was found last stays in use."""
        self._guarded_look()

    def poll(self, wanted: Callable[[], bool]) -> None:
        """Begin to poll, for as long as `wanted()`."""
        threading.Thread(target=self._poll, args=(wanted,), name=type(self).__name__, daemon=True).start()

    def _poll(self, wanted: Callable[[], bool]) -> None:
        while wanted():
            self._guarded_look()
            time.sleep(self._poll_seconds)

    def _guarded_look(self) -> None:
        try:
            self.look()
            if self._unavailable:
                _log.info("%s is back", self._polled)
            self._unavailable = False
        except Exception as error:  # noqa: BLE001  # whatever is wrong there must not end the scoring
            if not self._unavailable:
                _log.warning("%s is unavailable (%s); scoring goes on with %s", self._polled, error, self.in_use)
            self._unavailable = True
