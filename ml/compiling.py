"""Compiles loops by numba, and keeps the compiled code between processes where there is a place for it.

numba keeps it beside the source, else in the user's cache folder; NUMBA_CACHE_DIR names another. Where none of them can be
written to, each process compiles for itself.

numba compares only the file of a function with what it was when its code was kept. But what the function calls, and the
constants that it reads, are compiled into it, and they may stand in other files. So all that is kept is given up when any
file of `ml` has changed, as it has after an upgrade.
"""

import contextlib
import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Final

import numba
from numba.core.dispatcher import Dispatcher

_SOURCES: Final = Path(__file__).parent
_STAMP: Final = "scoreline-sources.sha256"


def compiled(function: Callable[..., Any]) -> Any:
    """A function on numbers and arrays, compiled at its first call; divisions by zero are as NumPy has them."""
    try:
        made = numba.njit(cache=True, error_model="numpy")(function)
    except RuntimeError:  # there is no place that can be written to
        return numba.njit(error_model="numpy")(function)
    if isinstance(made, Dispatcher):  # with NUMBA_DISABLE_JIT it is the function itself
        forget_older(Path(str(made.stats.cache_path)))
    return made


@cache
def forget_older(folder: Path) -> None:
    """Give up what was kept in a folder while the sources were others."""
    stamp = folder / _STAMP
    with contextlib.suppress(OSError):  # then another process is at it, or nothing was kept
        if stamp.exists() and stamp.read_text() == sources_digest():
            return
        for index in folder.glob("*.nbi"):
            index.unlink(missing_ok=True)
        stamp.write_text(sources_digest())


@cache
def sources_digest() -> str:
    """SHA-256 of the sources of `ml`, as they were when this process began."""
    digest = hashlib.sha256()
    for file in sorted(_SOURCES.rglob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()
