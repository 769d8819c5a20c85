"""Checks something outside at intervals, in the background, so that no record waits for it."""

import logging
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Final

_log = logging.getLogger(__name__)

OUTAGE_SECONDS: Final = 60.0
"""So long what is polled has to be unavailable before that is reported: a restart of it is no news to anybody."""


class Poller(ABC):
    """Calls `look` in a thread of its own; while that fails, what was found last stays in use.

    outage: is called with words and False once what is polled has been unavailable for a minute, with True when it is back.
    """

    def __init__(self, polled: str, poll_seconds: float, outage: Callable[[str, bool], None] | None = None) -> None:
        self._polled = polled
        self._poll_seconds = poll_seconds
        self._unavailable_since: float | None = None
        self._outage = outage
        self._reported = False

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
        return self._unavailable_since is None

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
        except Exception as error:  # noqa: BLE001  # whatever is wrong there must not end the scoring
            self._failed(error)
        else:
            self._answered()

    def _failed(self, error: Exception) -> None:
        now = time.monotonic()
        words = f"{self._polled} is unavailable ({error}); scoring goes on with {self.in_use}"
        if self._unavailable_since is None:
            _log.warning("%s", words)
            self._unavailable_since = now
        elif self._outage is not None and not self._reported and now - self._unavailable_since >= OUTAGE_SECONDS:
            self._outage(words, False)
            self._reported = True

    def _answered(self) -> None:
        if self._unavailable_since is not None:
            _log.info("%s is back", self._polled)
        if self._outage is not None and self._reported:
            self._outage(f"{self._polled} is back", True)
        self._unavailable_since, self._reported = None, False
