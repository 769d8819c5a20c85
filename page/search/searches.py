"""Searches by what an address says, in the place that it names, within limits of time and of how many at once."""

import sqlite3
import threading
from collections.abc import Iterator
from typing import Final

from page.errors import Refused
from page.search.kept_scores import KeptScores, Span
from page.search.lake_scores import LakeScores
from page.search.wanted import Found, Wanted

MOST_EXPORTED: Final = 100_000
EXPORT_SECONDS: Final = 60.0
AT_ONCE: Final = 4
"""Searches of the live feed at the same time, exports too; more are refused."""
_NO_LAKE: Final = "there is no lake here: set SCORELINE_LAKE, for the job and for this page"


class Searches:
    """Safe to use by several threads. seconds: after which a search of the page is stopped; lake: None where there is none."""

    def __init__(self, kept: KeptScores, lake: LakeScores | None, seconds: float) -> None:
        self._kept, self.lake, self.seconds = kept, lake, seconds
        self._free = threading.BoundedSemaphore(AT_ONCE)

    def find(self, wanted: Wanted, limit: int, skip: int = 0) -> list[Found]:
        """Raises `TooSlow`, `LakeUnusable`, and `Refused` where too many search at once, or there is no such place."""
        if wanted.source == "lake":
            return self._lake().find(wanted, limit, skip, self.seconds)
        self._enter()
        try:
            return self._kept.find(wanted, limit, skip, self.seconds)
        except sqlite3.Error as error:
            raise Refused(f"what the page keeps of the live feed can't be read: {error}", 503) from error
        finally:
            self._free.release()

    def export(self, wanted: Wanted) -> Iterator[list[Found]]:
        """In pieces, one row more than are exported where there are more. Raises as `find`."""
        if wanted.source == "lake":
            yield from self._lake().rows(wanted, MOST_EXPORTED + 1, EXPORT_SECONDS)
            return
        self._enter()
        try:
            yield from self._kept.rows(wanted, MOST_EXPORTED + 1, EXPORT_SECONDS)
        finally:
            self._free.release()

    def span(self) -> Span:
        """What is kept of the live feed."""
        try:
            return self._kept.span()
        except sqlite3.Error:
            return Span(0, None, None)

    def _lake(self) -> LakeScores:
        if self.lake is None:
            raise Refused(_NO_LAKE, 404)
        return self.lake

    def _enter(self) -> None:
        if not self._free.acquire(blocking=False):
            raise Refused("others are searching: ask again in a moment", 503)
