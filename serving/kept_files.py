"""Reading what the service keeps in its folder: what is damaged is refused by the file's name, with what to do."""

from collections.abc import Callable
from typing import TypeVar

from detection.storage import NO_CONTENT
from serving.errors import StateRefused

T = TypeVar("T")


def decoded(content: bytes, file: str, decode: Callable[[bytes], T], remedy: str) -> T:
    """What a file below --serve-state holds. Raises `StateRefused`, with the remedy, where it is damaged."""
    try:
        return decode(content)
    except NO_CONTENT as error:
        raise StateRefused(f"the file {file} of --serve-state is damaged ({error}): {remedy}") from error
