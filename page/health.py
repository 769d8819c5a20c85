"""What works of what the page depends on, in words, for the page and its log."""

import logging
import threading
from typing import NamedTuple

_log = logging.getLogger(__name__)


class Part(NamedTuple):
    """One thing that the page depends on. trouble: what is wrong; empty where nothing is."""

    name: str
    trouble: str


class Health:
    """Which parts are in trouble; each change is logged once. Safe to use by several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._parts: dict[str, str] = {}

    def report(self, name: str, trouble: str = "") -> None:
        """Say how a part is now."""
        with self._lock:
            before, self._parts[name] = self._parts.get(name, ""), trouble
        if trouble and not before:
            _log.warning("%s: %s", name, trouble)
        if before and not trouble:
            _log.warning("%s: works again", name)

    def parts(self) -> list[Part]:
        """All parts, by name."""
        with self._lock:
            return [Part(*part) for part in sorted(self._parts.items())]

    def troubles(self) -> list[Part]:
        """Those that are in trouble."""
        return [part for part in self.parts() if part.trouble]
