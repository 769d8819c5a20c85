"""The end of a Python process whose Java process ends while it is still starting, so that nothing is left behind."""

import os
import threading
import time
from typing import Final

_LOOK_SECONDS: Final = 0.1
_taken_over = threading.Event()


def end_with_parent() -> None:
    """From now on leave when the process that started this one is gone; imports of some seconds are still to come.

    Until `taken_over`: from then on its caller does it.
    """
    threading.Thread(target=_watch, args=(os.getppid(),), name="orphan", daemon=True).start()


def taken_over() -> None:
    """See `end_with_parent`."""
    _taken_over.set()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        if _taken_over.is_set():
            return
        time.sleep(_LOOK_SECONDS)
    if not _taken_over.is_set():
        os._exit(1)
