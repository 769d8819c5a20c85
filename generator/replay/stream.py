"""A data set as transactions in the order of time, from its begin or from where an earlier run stopped."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import msgspec
import pyarrow as pa

from generator.replay.csv_source import CsvSource
from generator.replay.cut import Cut
from generator.replay.files import refuse_unusable
from generator.replay.fit import Fitted, fit, fitted_schema
from generator.replay.mapping import Mapping
from generator.replay.order import InOrder, Piece, Place
from generator.replay.parquet_source import ParquetSource
from generator.replay.parts import UNIT_MS
from generator.replay.rejects import Rejects
from generator.replay.sorting import in_time_order
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
    """A file, what its columns mean, and how it is read. Raises ReplayError where it can't be read as the mapping says.

    tolerance_seconds: how far a row may be behind its time; sort: rows come in any order, and are sorted; until: where it ends,
    as `generator.replay.cut.Cut` reads it.
    """

    file: Path
    mapping: Mapping
    tolerance_seconds: float = 0.0
    sort: bool = False
    until: str | None = None

    def __post_init__(self) -> None:
        refuse_unusable(self.file)
        self.source: Source = _KINDS[self.file.suffix.lower()](self.file, self.mapping)
        self.done = self.read = 0
        self.cut = None if self.until is None else Cut.of("--until", self.until, self.source)

    @property
    def identity(self) -> str:
        """Equal where two runs read the same rows in the same way."""
        how = (self.tolerance_seconds, self.sort, self.until)
        what = (str(self.file.resolve()), self.source.size, self.mapping.model_dump_json(), how)
        return sha256(msgspec.json.encode(what)).hexdigest()[:16]

    def pieces(self, rejects: Rejects, reached: Reached | None = None) -> Iterator[Piece]:
        """The transactions in pieces, in order of time; after `reached`, only what comes then.

        Raises ReplayError where rows are not in order of time, or where nothing in the first block fits.
        """
        time = self.mapping.event_time
        spread = round(UNIT_MS[time.unit]) if time.unit and time.spread else None
        order = InOrder(self.source.unit, round(self.tolerance_seconds * 1000), spread)
        fitted = self._fitted(rejects, reached)
        if self.sort:
            fitted = in_time_order(fitted, fitted_schema(self.mapping))
        for piece in order.pieces(fitted, reached.last if reached else None):
            if self.cut is None:
                yield piece
                continue
            behind = self.cut.behind(piece.table)
            if not behind.all():
                yield piece._replace(table=piece.table.filter(pa.array(~behind)))
            elif self.cut.row is None or not (self.sort or self.tolerance_seconds):
                return  # and all that follows lies behind it too

    def reached(self, piece: Piece, last: Place, rejects: Rejects) -> Reached:
        """Where a later run goes on when all up to the place `last`, within `piece`, is done with."""
        return Reached(piece.begin, last, self.read, rejects.count, rejects.bytes)

    def _fitted(self, rejects: Rejects, reached: Reached | None) -> Iterator[Fitted]:
        read_before = reached.read if reached else 0
        end = math.inf if self.cut is None or self.cut.row is None else self.cut.row
        for block in self.source.blocks(reached.begin if reached and not self.sort else None):
            fitted = fit(block, self.mapping)
            rejects.add([reject for reject in fitted.rejects if read_before < reject.row < end])
            self.done, self.read = fitted.done, max(fitted.last, read_before)
            yield fitted
