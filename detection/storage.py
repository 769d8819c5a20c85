"""Where the ledger, the models and the tables are kept: any folder of small files that are durable."""

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol, TypeVar

import msgspec

from detection.errors import CheckpointIncomplete

T = TypeVar("T")

NO_CONTENT: Final = (msgspec.MsgspecError, ValueError, RecursionError, zlib.error)
"""What decoders raise for bytes that hold something else."""


class Storage(Protocol):
    """A folder of files, each written whole or not at all. `jobs.runtime.storage.DurableFolder` is one."""

    @property
    def local(self) -> Path | None:
        """Where it is on a local disk; None where it is elsewhere."""

    def read(self, name: str) -> bytes | None:
        """The file's content, or None where there is no such file."""

    def write(self, name: str, content: bytes) -> None:
        """Write a file that is not there yet; it is durable on return. Raises where there is a file of this name."""

    def read_newest(self, name: str) -> bytes | None:
        """What was last written by `write_newest`, or None."""

    def write_newest(self, name: str, content: bytes) -> None:
        """Replace what was last written under this name; a reader finds the old content or the new one, whole."""

    def names(self) -> list[str]:
        """The files' names, hidden ones left out."""

    def delete(self, name: str) -> None:
        """Delete the file, if it is there."""


def decoded(content: bytes, file: str, decode: Callable[[bytes], T]) -> T:
    """What a checkpoint's file holds. Raises `CheckpointIncomplete`, which names the file, where it is damaged."""
    try:
        return decode(content)
    except NO_CONTENT as error:
        raise CheckpointIncomplete(
            f"the checkpoint's file {file} is damaged ({error}): put the checkpoint back from a copy, or start with another "
            "--checkpoint"
        ) from error


def is_number(name: str) -> bool:
    """Whether `int` reads the name of a file: `str.isdigit` alone takes what `int` refuses.

    >>> is_number("12"), is_number("\N{SUPERSCRIPT TWO}"), is_number("12.tmp"), is_number("")
    (True, False, False, False)
    """
    return name.isascii() and name.isdigit()
