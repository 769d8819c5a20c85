"""A data set as a history folder: the Parquet that training and evaluation read."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from generator.history import LABELS_FILE, ORIGIN_FILE, TRUTH_FILE
from generator.labels import Reporting
from generator.replay.errors import ReplayError
from generator.replay.fit import converted_schema
from generator.replay.labels import fraud_rows, in_order_of_label_time, label_table, truth_table
from generator.replay.order import Piece, Place
from generator.replay.rejects import Rejects
from generator.replay.stream import DataSet, Reached
from generator.report import time_of
from generator.tables import LABEL_ARROW

PART_ROWS: Final = 1_000_000
WORK_FOLDER, STATE_FILE, REJECTS_FILE = ".convert", "state.json", "rejects.jsonl"
_TRUTH_ARROW: Final = LABEL_ARROW.append(pa.field("row", pa.int64()))


class Conversion(msgspec.Struct):
    """How far a conversion came; at its end also what history.json says of it. Times are event_time, ms since the epoch."""

    identity: str
    file: str
    format: str
    label_days: float
    parts: int = 0
    rows: int = 0
    frauds: int = 0
    first_ms: int = 0
    last_ms: int = 0
    reached: Reached | None = None

    def count(self, table: pa.Table, frauds: int) -> None:
        """So many rows, in order of time, are converted too."""
        times = table["event_time"].cast(pa.int64())
        self.first_ms = self.first_ms if self.rows else times[0].as_py()
        self.last_ms = times[-1].as_py()
        self.rows, self.frauds = self.rows + len(table), self.frauds + frauds


class Converted(msgspec.Struct):
    """What a folder was converted from, as history.json: it is not a simulated history that a live stream could continue."""

    converted_from: str
    format: str
    transactions: int
    frauds: int
    rejected: int
    first_event_time: str
    last_event_time: str
    label_days: float
    extra: list[str]


@dataclass
class Converter:
    """Converts a data set into a folder.

    The transactions are written in files of PART_ROWS; when one is complete the state is kept, and a conversion that was
    stopped goes on after the last complete one. history.json comes last.
    """

    data: DataSet
    folder: Path
    reporting: Reporting
    progress: Callable[[int, int], None] = lambda rows, rejects: None
    part_rows: int = PART_ROWS

    def __post_init__(self) -> None:
        self._work = self.folder / WORK_FOLDER
        self._state = Conversion(
            self.data.identity, self.data.file.name, self.data.mapping.name, self.reporting.median_days
        )

    def run(self) -> tuple[Converted, Rejects]:
        """Convert, and say what it came to.

        Raises ReplayError where the folder holds a history already, or the unfinished conversion of something else, and as
        DataSet.pieces does.
        """
        self._state = self._found_state() or self._state
        self._work.mkdir(parents=True, exist_ok=True)
        reached = self._state.reached
        count, length = (reached.rejects, reached.reject_bytes) if reached else (0, 0)
        with Rejects(self.folder / REJECTS_FILE, count, length) as rejects:
            pieces = self.data.pieces(rejects, reached)
            while self._write_part(pieces, rejects):
                pass
        if not self._state.rows:
            raise ReplayError(self._nothing(rejects))
        if self.data.mapping.label:
            self._write_labels()
        return self._finish(rejects), rejects

    def _nothing(self, rejects: Rejects) -> str:
        if not rejects.count and self.data.cut is not None:
            return f"no row of {self.data.file} comes before --until: name a later place"
        return f"{self.data.file} has no row that fits as {self.data.mapping.name}: {rejects.in_words()}"

    def _found_state(self) -> Conversion | None:
        """The state of this conversion where it was stopped."""
        state = self._work / STATE_FILE
        if not state.exists():
            if self.folder.exists() and any(self.folder.glob("*.parquet")):
                raise ReplayError(f"{self.folder} holds a history already: name another folder, or delete that one")
            return None
        found = msgspec.json.decode(state.read_bytes(), type=Conversion)
        wanted = self._state
        if (found.identity, found.label_days) != (wanted.identity, wanted.label_days):
            raise ReplayError(
                f"{self.folder} holds the unfinished conversion of {found.file} as {found.format} with other contents or "
                "options: go on with those, name another folder, or delete that one"
            )
        return found

    def _write_part(self, pieces: Iterator[Piece], rejects: Rejects) -> bool:
        """Write the next file of transactions and their truth; False where there are no more."""
        state, written, piece = self._state, 0, None
        with self._new_part() as (transactions, truth):
            for piece in pieces:
                table = piece.table
                transactions.write_table(table.select(converted_schema(self.data.mapping).names))
                frauds = truth_table(table, self.data.mapping.name)
                truth.write_table(frauds.append_column(_TRUTH_ARROW.field("row"), pa.array(fraud_rows(table))))
                state.count(table, len(frauds))
                written += len(table)
                self.progress(state.rows, rejects.count)
                if written >= self.part_rows:
                    break
        if piece is None:
            return False
        self._keep_part()
        state.parts += 1
        state.reached = self.data.reached(piece, Place.of(piece.table, -1), rejects)
        self._keep_state()
        return True

    @contextmanager
    def _new_part(self) -> Iterator[tuple[pq.ParquetWriter, pq.ParquetWriter]]:
        with (
            pq.ParquetWriter(self._work / "transactions", converted_schema(self.data.mapping)) as transactions,
            pq.ParquetWriter(self._work / "truth", _TRUTH_ARROW) as truth,
        ):
            yield transactions, truth

    def _keep_part(self) -> None:
        number = self._state.parts
        (self._work / "truth").replace(self._work / f"truth-{number:05}.parquet")
        (self._work / "transactions").replace(self.folder / f"transactions-{number:05}.parquet")

    def _keep_state(self) -> None:
        new = self._work / "state.new"
        new.write_bytes(msgspec.json.encode(self._state))
        new.replace(self._work / STATE_FILE)

    def _truth_parts(self) -> Iterator[pa.Table]:
        for number in range(self._state.parts):
            yield pq.read_table(self._work / f"truth-{number:05}.parquet")

    def _write_labels(self) -> None:
        def parts() -> Iterator[tuple[pa.Table, int]]:
            for truth in self._truth_parts():
                if truth.num_rows:
                    until = truth["label_time"][-1].cast(pa.int64()).as_py()
                    yield label_table(truth, truth["row"].to_numpy(), self.reporting), until

        with pq.ParquetWriter(self._work / TRUTH_FILE, LABEL_ARROW) as out:
            for truth in self._truth_parts():
                out.write_table(truth.drop_columns("row"))
        with pq.ParquetWriter(self._work / LABELS_FILE, LABEL_ARROW) as out:
            for labels in in_order_of_label_time(parts()):
                out.write_table(labels)
        for name in (TRUTH_FILE, LABELS_FILE):
            (self._work / name).replace(self.folder / name)

    def _finish(self, rejects: Rejects) -> Converted:
        state, mapping = self._state, self.data.mapping
        first, last = (time_of(ms).isoformat() for ms in (state.first_ms, state.last_ms))
        what = Converted(
            state.file,
            mapping.name,
            state.rows,
            state.frauds,
            rejects.count,
            first,
            last,
            state.label_days,
            list(mapping.extra),
        )
        (self.folder / ORIGIN_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(what)))
        for file in self._work.iterdir():
            file.unlink()
        self._work.rmdir()
        return what
