"""Where what was downloaded or built once is kept, for all checkouts of one user."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs
from filelock import FileLock, Timeout

Report = Callable[[str], None]
"""Is given a line that says what is being fetched or built."""


def on_stderr(text: str) -> None:
    """A report, as a line on standard error."""
    print(text, file=sys.stderr, flush=True)


def folder() -> Path:
    """SCORELINE_CACHE, else the platform's cache folder of this user."""
    chosen = os.environ.get("SCORELINE_CACHE")
    path = Path(chosen).absolute() if chosen else platformdirs.user_cache_path("scoreline")
    path.mkdir(parents=True, exist_ok=True)
    return path


@contextmanager
def filling(name: str, report: Report = on_stderr) -> Iterator[Path]:
    """The cache folder, while no other process fills its part `name`: look again inside, another may just have done it."""
    lock = FileLock(folder() / f"{name}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        report(f"Another process is bringing {name}; waiting for it …")
        lock.acquire()
    try:
        yield folder()
    finally:
        lock.release()
