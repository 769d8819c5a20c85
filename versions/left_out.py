"""What is left out of a topic because it is another's: counted, and logged once a minute."""

import logging
import time
from collections.abc import Callable
from typing import Final

_log = logging.getLogger(__name__)

_SECONDS: Final = 60.0


class LeftOut:
    """Counts records that are left out. The first is logged at once, later ones at most once a minute together.

    what: which records these are, as in "left out 3 of scores, being no scores, the first at partition 0, offset 7: …".
    """

    def __init__(self, what: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._what = what
        self._clock = clock
        self._count = 0
        self._example: str | None = None
        self._logged: float | None = None

    def add(self, count: int, example: str | None) -> None:
        """Count further ones, of which the first is the example; to be called with 0 too, for what waits to be logged."""
        self._count += count
        self._example = self._example or example
        now = self._clock()
        if self._count and (self._logged is None or now - self._logged >= _SECONDS):
            _log.error("left out %d %s, the first %s", self._count, self._what, self._example)
            self._count, self._example, self._logged = 0, None, now
