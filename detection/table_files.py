"""The files of versioned tables beside a ledger, so that neither a restart nor a replay depends on a topic."""

import re
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import NamedTuple

from detection.storage import Storage
from ml.schema import DIGEST_DIGITS


class Name(NamedTuple):
    """A table by its version, and by what it is: a topic that was made again gives the same versions again."""

    version: int
    digest: str

    def __str__(self) -> str:
        return f"{self.version}-{self.digest}"


class Purged(NamedTuple):
    """What a purge has deleted, and whether there is more to delete."""

    names: list[Name]
    more: bool


class TableFiles:
    """The files of the tables of one kind in a folder, each called VERSION-DIGEST with the kind's ending."""

    def __init__(self, folder: Storage, ending: str) -> None:
        self._folder = folder
        self._ending = ending
        self._pattern = re.compile(f"([1-9][0-9]*)-([0-9a-f]{{{DIGEST_DIGITS}}}){re.escape(ending)}")

    def file(self, name: Name) -> str:
        """What a table's file is called."""
        return f"{name}{self._ending}"

    def place(self, name: Name) -> Path | None:
        """Where a table's file is, or would be, on this machine; None where the folder is elsewhere."""
        folder = self._folder.local
        return None if folder is None else folder / self.file(name)

    def names(self) -> list[Name]:
        """All tables that are kept, the oldest first."""
        found = filter(None, map(self._pattern.fullmatch, self._folder.names()))
        return sorted(Name(int(match[1]), match[2]) for match in found)

    def read(self, name: Name) -> bytes | None:
        """A table's file; None where there is none."""
        return self._folder.read(self.file(name))

    def keep(self, name: Name, content: bytes) -> None:
        """Write a table's file where there is none, or one with another content, which is damaged."""
        if self.read(name) != content:
            self._folder.delete(self.file(name))
            self._folder.write(self.file(name), content)

    def purge(self, named: AbstractSet[str], most: int, newest: int = 1) -> Purged:
        """Delete at most so many tables that are not named, as VERSION-DIGEST. So many of the newest stay."""
        unnamed = [name for name in self.names()[:-newest] if str(name) not in named]
        for name in unnamed[:most]:
            self._folder.delete(self.file(name))
        return Purged(unnamed[:most], len(unnamed) > most)
