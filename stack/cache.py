"""Where what was downloaded or built once is kept, for all checkouts of one user."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs
from filelock import FileLock


def folder() -> Path:
    """SCORELINE_CACHE, else the platform's cache folder of this user."""
    chosen = os.environ.get("SCORELINE_CACHE")
    path = Path(chosen).absolute() if chosen else platformdirs.user_cache_path("scoreline")
    path.mkdir(parents=True, exist_ok=True)
    return path


@contextmanager
def filling(name: str) -> Iterator[Path]:
    """The cache folder, while no other process fills its part `name`: look again inside, another may just have done it."""
    with FileLock(folder() / f"{name}.lock"):
        yield folder()
