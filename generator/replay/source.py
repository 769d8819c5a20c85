"""Data sets as blocks of raw columns, each row with its number, read from any place on."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

import msgspec
import pyarrow as pa

from generator.arrays import Array
from generator.replay.errors import ReplayError
from generator.replay.mapping import Mapping

SHOWN_TEXT = 300


class Position(msgspec.Struct, frozen=True):
    """Where a block begins: a byte of a CSV or a row group of a Parquet file, and its first row's number."""

    at: int
    row: int


class Reject(NamedTuple):
    """A row that does not fit: its number (of the line in a CSV, from 1; of the row in Parquet, from 1), why, and itself."""

    row: int
    reason: str
    text: str


class Block(NamedTuple):
    """Some rows, in the file's order.

    columns: what the mapping needs, as numbers, or as texts wherever one of them is no number; rows: (n,) their numbers;
    rejects: rows that could not even be cut into fields; text: the nth row as it stands in the file; last: the last row's
    number, rejects included; done: how much of the source's `size` is read after this block.
    """

    columns: pa.Table
    rows: Array
    rejects: list[Reject]
    text: Callable[[int], str]
    position: Position
    last: int
    done: int


class Source(Protocol):
    """A file of a data set. `unit` is what its row numbers count, `size` what a block's `done` ends at."""

    file: Path
    unit: str
    size: int

    def blocks(self, start: Position | None = None) -> Iterator[Block]:
        """The file's blocks, from its begin or from a block's position on."""

    def row_of_share(self, share: float) -> int:
        """The number of the first row that comes after a share of all rows, from 0 to 1."""


def unique_names(names: list[str]) -> list[str]:
    """Columns' names, of which several may be the same: the second `Account` is `Account.1`, as pandas calls it.

    >>> unique_names(["Account", "To", "Account", "Account", "Account.1"])
    ['Account', 'To', 'Account.2', 'Account.3', 'Account.1']
    """
    found: list[str] = []
    for place, name in enumerate(names):
        number, called = 0, name
        while called in found or (number and called in names):
            number += 1
            called = f"{name}.{number}"
        found.append(called if name in names[:place] else name)
    return found


def refuse_missing_columns(file: Path, present: list[str], mapping: Mapping) -> None:
    """Raises ReplayError where a column that the mapping names is not there."""
    wrong = sorted(column for column in mapping.columns if column not in present)
    if wrong:
        names = ", ".join(name or '""' for name in present)
        raise ReplayError(
            f"{file} lacks the column {', '.join(wrong)} that the mapping {mapping.name} names; it has {names:.600}: "
            "give another --format, or fix the mapping"
        )
