"""How a long computation reports how far it is: by calling back, so that it knows no terminal."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Progress(Protocol):
    """Called while something goes on, many times a second. It has to be quick, and must not raise."""

    def __call__(self, stage: str, done: float, total: float | None, note: str = "") -> None:
        """So much of the total is done; total is None while nobody can say. stage: the same text in all calls of one stage,
        which ends with done = total and may begin again. note: what may change in the meantime."""
        ...


def silent(stage: str, done: float, total: float | None, note: str = "") -> None:
    """Reports to nobody."""


@contextmanager
def staged(progress: Progress, stage: str) -> Iterator[None]:
    """Reports a stage of unknown length, which is what happens inside."""
    progress(stage, 0, None)
    yield
    progress(stage, 1, 1)
