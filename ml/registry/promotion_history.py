"""Who was champion before: the history of promotions as a list of versions, oldest first."""

from collections.abc import Sequence
from typing import Final

REMEMBERED: Final = 50


def promoted(history: Sequence[int], champion: int | None, version: int) -> list[int]:
    """The history once `version` becomes champion after `champion`, which a person may have set by hand.

    >>> promoted([1, 2], 2, 5)
    [1, 2, 5]
    """
    known = list(history)
    for entry in (champion, version):
        if entry is not None and (not known or known[-1] != entry):
            known.append(entry)
    return known[-REMEMBERED:]


def rolled_back(history: Sequence[int], champion: int | None) -> list[int]:
    """The history once the champion is replaced by the one before it, which is now the last; empty where there was none.

    >>> rolled_back([1, 2, 5], 5), rolled_back([1, 2], 2), rolled_back([1], 1)
    ([1, 2], [1], [])
    """
    return list(history[:-1] if history and history[-1] == champion else history)
