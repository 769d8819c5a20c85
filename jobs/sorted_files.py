"""Rows in sorted files beside a checkpoint: appended with each micro-batch, merged as they grow, found by their first column.

A log of sorted files (O'Neil et al., "The log-structured merge-tree", Acta Informatica 33, 1996). A file is written once and
has a column after the other, so that a look-up maps into memory, and reads, little more than the keys that it passes.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from detection.errors import CheckpointIncomplete
from detection.storage import Storage
from ml.arrays import Flags, Hashes, Ints

MOST_MERGED: Final = 1 << 18
"""Rows that a file has at most by merging."""

Merge = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Older rows and newer ones, each sorted → both as one, sorted."""


class SortedFile(msgspec.Struct, frozen=True):
    """A file, its rows, and the latest block among them."""

    name: str
    rows: int
    newest: int


class SortedFiles:
    """The rows of one kind. What is `listed` counts; whoever keeps it makes it durable, and then calls `delete_others`."""

    def __init__(
        self, folder: Storage, kind: str, dtype: "np.dtype[Any]", merge: Merge, listed: Sequence[SortedFile] = ()
    ) -> None:
        self._folder = folder
        self._kind = kind
        self._dtype = dtype
        self._merge = merge
        self._columns: dict[str, dict[str, np.ndarray]] = {}
        self.listed = list(listed)

    def __len__(self) -> int:
        return sum(each.rows for each in self.listed)

    def add(self, rows: np.ndarray, micro_batch: int) -> None:
        """Append sorted rows; small files before them become one with them. micro_batch: from -1 on; again to do it again."""
        if not len(rows):
            return
        while self.listed and self.listed[-1].rows <= 2 * len(rows) and self.listed[-1].rows + len(rows) <= MOST_MERGED:
            rows = self._merge(self._read(self.listed.pop()), rows)
        name = f"{self._kind}-{micro_batch + 1}"
        names: tuple[str, ...] = self._dtype.names  # type: ignore[assignment]  # all our kinds have names
        self._folder.delete(name)  # what a micro-batch left that was not finished
        self._folder.write(name, b"".join(np.ascontiguousarray(rows[column]).tobytes() for column in names))
        self._columns.pop(name, None)
        self.listed.append(SortedFile(name, len(rows), int(rows["block"].max())))

    def replace(self, rows: np.ndarray, micro_batch: int) -> None:
        """Have these sorted rows in the place of all."""
        self.listed = []
        self.add(rows, micro_batch)

    def pieces(self) -> Iterator[np.ndarray]:
        """The rows of one file after the other, the oldest first."""
        for each in self.listed:
            yield self._read(each)

    def find(self, keys: Hashes, oldest: bool = False) -> tuple[np.ndarray, Flags]:
        """For ascending keys (n,) of the first column: the newest row of each (n,), and which are there (n,) bool.

        oldest: the oldest row of each, where a merge keeps all, the older ones first.
        """
        found, there = np.zeros(len(keys), self._dtype), np.zeros(len(keys), np.bool_)
        for each in self.listed if oldest else reversed(self.listed):
            columns = self._mapped(each)
            missing = np.flatnonzero(~there)
            first = next(iter(columns.values()))
            places: Ints = np.minimum(np.searchsorted(first, keys[missing]), each.rows - 1)
            hits = first[places] == keys[missing]
            for name, column in columns.items():
                found[name][missing[hits]] = column[places[hits]]
            there[missing[hits]] = True
        return found, there

    def drop_before(self, block: int, most: int) -> int:
        """Drop files all of whose rows are of earlier blocks, and the oldest where there are more than so many rows; returns
        how many rows are dropped for their number alone."""
        self.listed = [each for each in self.listed if each.newest >= block]
        dropped = 0
        while len(self) > most:
            dropped += self.listed.pop(0).rows
        return dropped

    def delete_others(self) -> None:
        """Delete the files of this kind that are not listed."""
        listed = {each.name for each in self.listed}
        for name in self._folder.names():
            if name.rpartition("-")[0] == self._kind and name not in listed:
                self._folder.delete(name)
                self._columns.pop(name, None)

    def _read(self, each: SortedFile) -> np.ndarray:
        rows = np.empty(each.rows, self._dtype)
        for name, column in self._mapped(each).items():
            rows[name] = column
        return rows

    def _mapped(self, each: SortedFile) -> dict[str, np.ndarray]:
        """The columns of a file, mapped into memory where the folder is on this machine. Raises `CheckpointIncomplete`."""
        if each.name in self._columns:
            return self._columns[each.name]
        local, columns, place = self._folder.local, dict[str, np.ndarray](), 0
        content = None if local is not None else self._folder.read(each.name)
        self._check(each, _size(local / each.name) if local is not None else None if content is None else len(content))
        for name in self._dtype.names or ():
            kind = self._dtype[name]
            if local is not None:
                mapped = np.memmap(local / each.name, kind, "r", place, (each.rows,))
                columns[name] = mapped.view(np.ndarray)
            else:
                columns[name] = np.frombuffer(content or b"", kind, each.rows, place)
            place += each.rows * kind.itemsize
        self._columns[each.name] = columns
        return columns

    def _check(self, each: SortedFile, size: int | None) -> None:
        """Raises `CheckpointIncomplete` where a file is not there (None), or not of the size in bytes that its rows have."""
        if size != each.rows * self._dtype.itemsize:
            raise CheckpointIncomplete(
                f"the checkpoint's file profiles-state/{each.name} is {'lost' if size is None else 'damaged'}: put the "
                "checkpoint back from a copy, or delete the folders profiles, profiles-state and profiles-made to count again "
                "what Kafka still has"
            )


def _size(file: Path) -> int | None:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return None
