"""Processes many rows at once, so that a row that fails affects no other."""

from collections.abc import Callable
from typing import TypeVar

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.int64]
T = TypeVar("T")

ELSEWHERE = (MemoryError, OSError)
"""Errors that are not a row's fault: of memory, disks and networks. All of the work is retried later."""


def in_halves(
    work: Callable[[Rows], T], rows: Rows, sound: Callable[[], object], failed: Callable[[int, Exception], None]
) -> list[tuple[Rows, T]]:
    """Work on rows all at once; where that raises, on each half by itself, down to the rows that fail alone.

    Of rows that follow each other `work` is given rows that follow each other.

    Returns the parts that went well, in order, with what `work` returned for them. `failed` is called with each row that
    did not, and its error. `work` must leave nothing behind where it raises. What is not a row's fault is raised: the errors
    `ELSEWHERE`, and what `sound` raises, which takes the same step for something that is known to be good.
    """
    if not len(rows):
        return []
    try:
        return [(rows, work(rows))]
    except ELSEWHERE:
        raise
    except Exception as error:  # noqa: BLE001  # our own bugs too cost one message and no other
        if len(rows) == 1:
            sound()
            failed(int(rows[0]), error)
            return []
    middle = len(rows) // 2
    return [part for half in (rows[:middle], rows[middle:]) for part in in_halves(work, half, sound, failed)]


def in_words(step: str, error: Exception) -> str:
    """Why a message is a dead letter where a step of ours failed for it, in one line that any encoding can hold.

    >>> in_words("fold", ValueError("bad\\nvalue"))
    "an error of Scoreline's own in its step fold: ValueError: bad value"
    """
    try:
        said = " ".join(str(error).split())
    except Exception:  # noqa: BLE001  # whatever the error, its message must not be lost to how it says so
        said = "(its text can't be read)"
    text = f"an error of Scoreline's own in its step {step}: {type(error).__name__}: {said}"
    return text[:500].encode("utf-8", "backslashreplace").decode()
