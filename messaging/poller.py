"""Looking at something outside again and again, in the background, so that no record waits for it."""

import logging
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable

_log = logging.getLogger(__name__)


class Follower(ABC):
    """Calls `look` in a thread of its own; while that fails, what was seen last goes on being used."""

    def __init__(self, followed: str, poll_seconds: float) -> None:
        self._followed = followed
        self._poll_seconds = poll_seconds
        self._away = False

    @abstractmethod
    def look(self) -> None:
        """Take up what is new. Raises whatever ails the thing that is followed."""

    @property
    @abstractmethod
    def in_use(self) -> str:
        """What scoring goes on with, for the log."""

    def follow(self, wanted: Callable[[], bool]) -> None:
        """Begin to follow, for as long as `wanted()`."""
        threading.Thread(target=self._follow, args=(wanted,), name=type(self).__name__, daemon=True).start()

    def _follow(self, wanted: Callable[[], bool]) -> None:
        while wanted():
            self._guarded_look()
            time.sleep(self._poll_seconds)

    def _guarded_look(self) -> None:
        try:
            self.look()
            if self._away:
                _log.info("%s is back", self._followed)
            self._away = False
        except Exception as error:  # noqa: BLE001  # whatever ails it, it must not end the scoring
            if not self._away:
                _log.warning("%s is away (%s); scoring goes on with %s", self._followed, error, self.in_use)
            self._away = True
