"""A data set as transactions in the order of time, from its begin or from where an earlier run stopped."""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import msgspec

from generator.replay.csv_source import CsvSource
from generator.replay.errors import ReplayError
from generator.replay.fit import Fitted, fit
from generator.replay.mapping import UNIT_MS, Mapping
from generator.replay.order import InOrder, Piece, Place
from generator.replay.parquet_source import ParquetSource
from generator.replay.rejects import Rejects
from generator.replay.source import Position, Source

_KINDS: dict[str, type[CsvSource] | type[ParquetSource]] = {".csv": CsvSource, ".parquet": ParquetSource}


class Reached(msgspec.Struct, frozen=True):
    """How far a run came: the block to begin at, the last row of those that are done with, and the rejects by then.

    read: the last row that was read, done with or not: its reject, and those before it, are in the file of rejects.
    """

    begin: Position
    last: Place
    read: int
    rejects: int
    reject_bytes: int


@dataclass
class DataSet:
    """A file, what its columns mean, and how it is read. Raises ReplayError where it can't be read as the mapping says."""

    file: Path
    mapping: Mapping
    tolerance_seconds: float = 0.0

    def __post_init__(self) -> None:
        if self.file.suffix.lower() not in _KINDS:
            raise ReplayError(f"a data set has to be a .csv or .parquet file, but is {self.file}: unpack or rename it")
        if not self.file.is_file():
            raise ReplayError(f"there is no file {self.file}")
        self.source: Source = _KINDS[self.file.suffix.lower()](self.file, self.mapping)
        self.done = self.read = 0

    @property
    def identity(self) -> str:
        """Equal where two runs read the same rows in the same way."""
        what = (str(self.file.resolve()), self.source.size, self.mapping.model_dump_json(), self.tolerance_seconds)
        return sha256(msgspec.json.encode(what)).hexdigest()[:16]

    def pieces(self, rejects: Rejects, reached: Reached | None = None) -> Iterator[Piece]:
        """The transactions in pieces, in order of time; after `reached`, only what comes then.

        Raises ReplayError where rows are not in order of time, or where nothing in the first block fits.
        """
        time = self.mapping.event_time
        spread = UNIT_MS[time.unit] if time.unit and time.spread else None
        order = InOrder(self.source.unit, round(self.tolerance_seconds * 1000), spread)
        yield from order.pieces(self._fitted(rejects, reached), reached.last if reached else None)

    def reached(self, piece: Piece, last: Place, rejects: Rejects) -> Reached:
        """Where a later run goes on when all up to the place `last`, within `piece`, is done with."""
        return Reached(piece.begin, last, self.read, rejects.count, rejects.bytes)

    def _fitted(self, rejects: Rejects, reached: Reached | None) -> Iterator[Fitted]:
        read_before = reached.read if reached else 0
        for block in self.source.blocks(reached.begin if reached else None):
            fitted = fit(block, self.mapping)
            rejects.add([reject for reject in fitted.rejects if reject.row > read_before])
            self.done, self.read = fitted.done, max(fitted.last, read_before)
            yield fitted
