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


def refuse_missing_columns(file: Path, present: list[str], mapping: Mapping) -> None:
    """Raises ReplayError where a column that the mapping names is not there, or is there twice."""
    wrong = sorted(column for column in mapping.columns if present.count(column) != 1)
    if wrong:
        how = "lacks" if present.count(wrong[0]) == 0 else "has more than once"
        names = ", ".join(name or '""' for name in present)
        raise ReplayError(
            f"{file} {how} the column {', '.join(wrong)} that the mapping {mapping.name} names; it has {names:.600}: "
            "give another --format, or fix the mapping"
        )
