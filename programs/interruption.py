"""Ctrl-C, SIGTERM and a closed terminal: ends a run in order while there is something to end in order, else at once."""

import signal
import threading
from types import FrameType
from typing import Final

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(KeyboardInterrupt):
    """The run has to end now."""


class Interruption:
    """What a signal does depends on how far the run is.

    At first it raises `Interrupted` in the main thread. After `orderly()` the first one only sets `requested`, and a second
    one raises. Once `Interrupted` was raised, and after `ignore()`, signals do nothing: what runs is being ended already.
    """

    def __init__(self) -> None:
        self.requested: Final = threading.Event()
        self._orderly = False
        for number in SIGNALS:
            signal.signal(number, self._handle)

    def orderly(self) -> None:
        """From now on the first signal is a request."""
        self._orderly = True

    def ignore(self) -> None:
        """From now on signals do nothing."""
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if not self._orderly or self.requested.is_set():
            self.ignore()
            raise Interrupted
        self.requested.set()
