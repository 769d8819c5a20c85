"""CSV files, block by block: whole blocks at once where every line fits, line by line where one does not."""

import csv
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.csv

from generator.replay.errors import ReplayError
from generator.replay.mapping import Mapping
from generator.replay.source import SHOWN_TEXT, Block, Position, Reject, refuse_missing_columns, unique_names

BLOCK_BYTES = 8 << 20
LONGEST_LINE = 64 << 20


class CsvSource:
    """A CSV file with a header, in UTF-8. A row is a line: a field holds no line break."""

    unit = "line"

    def __init__(self, file: Path, mapping: Mapping) -> None:
        self.file, self.size = file, file.stat().st_size
        self._delimiter = mapping.delimiter
        self._wanted = sorted(mapping.columns)
        self._numbers = mapping.number_columns
        with file.open("rb") as stream:
            first = stream.readline(LONGEST_LINE)
            self._begin = Position(stream.tell(), 2)
        try:
            header = next(csv.reader([first.decode("utf-8-sig").strip("\r\n")], delimiter=self._delimiter))
        except (UnicodeDecodeError, StopIteration, csv.Error):
            raise ReplayError(
                f"{file} has to begin with a line of column names, in UTF-8, but begins {first[:60]!r}"
            ) from None
        self._names = unique_names(header)
        refuse_missing_columns(file, self._names, mapping)
        if self._begin.at >= self.size:
            raise ReplayError(f"{file} has a header, but no row: was it written to its end?")

    def blocks(self, start: Position | None = None) -> Iterator[Block]:
        """See Source.blocks."""
        position = start or self._begin
        with self.file.open("rb") as stream:
            stream.seek(position.at)
            for raw in _whole_lines(stream, self.file):
                block = self._block(raw, position)
                yield block
                position = Position(block.done, block.last + 1)

    def row_of_share(self, share: float) -> int:
        """See Source.row_of_share: lines are counted, without looking into them."""
        lines = 0
        with self.file.open("rb") as stream:
            stream.seek(self._begin.at)
            while more := stream.read(BLOCK_BYTES):
                lines, last = lines + more.count(b"\n"), more
            lines += not last.endswith(b"\n")
        return self._begin.row + int(lines * share)

    def _block(self, raw: bytes, position: Position) -> Block:
        lines = raw.count(b"\n") + (not raw.endswith(b"\n"))
        last, done = position.row + lines - 1, position.at + len(raw)
        table = self._at_once(raw, lines, self._numbers) or self._at_once(raw, lines, set())
        if table is None:
            return self._line_by_line(raw, position, last, done)
        rows = np.arange(position.row, last + 1)
        return Block(table, rows, [], lambda n: _shown(raw.split(b"\n")[n]), position, last, done)

    def _at_once(self, raw: bytes, lines: int, numbers: set[str]) -> pa.Table | None:
        """The block's columns, those of `numbers` as such; None where a line does not fit, or is not just one row."""
        types: dict[str, pa.DataType] = {
            name: pa.float64() if name in numbers else pa.string() for name in self._wanted
        }
        try:
            table = pyarrow.csv.read_csv(
                BytesIO(raw),
                pyarrow.csv.ReadOptions(column_names=self._names),
                pyarrow.csv.ParseOptions(delimiter=self._delimiter),
                pyarrow.csv.ConvertOptions(
                    column_types=types, include_columns=self._wanted, null_values=[""], strings_can_be_null=True
                ),
            )
        except pa.ArrowInvalid:
            return None
        return table.combine_chunks() if table.num_rows == lines else None

    def _line_by_line(self, raw: bytes, position: Position, last: int, done: int) -> Block:
        """The lines that are rows; those that are not are rejects. Empty lines are neither."""
        rejects: list[Reject] = []
        rows: list[int] = []
        texts: list[bytes] = []
        fields: list[list[str]] = []
        for number, line in enumerate(raw.split(b"\n"), position.row):
            if not line.strip():
                continue
            cut = self._fields(line.rstrip(b"\r"))
            if isinstance(cut, str):
                rejects.append(Reject(number, cut, _shown(line)))
            else:
                rows.append(number)
                texts.append(line)
                fields.append(cut)
        places = {name: self._names.index(name) for name in self._wanted}
        columns: dict[str, Any] = {
            name: pa.array([row[place] or None for row in fields], pa.string()) for name, place in places.items()
        }
        return Block(
            pa.table(columns), np.array(rows, np.int64), rejects, lambda n: _shown(texts[n]), position, last, done
        )

    def _fields(self, line: bytes) -> list[str] | str:
        """A line's fields, or why it has none."""
        try:
            fields = next(csv.reader([line.decode()], delimiter=self._delimiter, strict=True))
        except UnicodeDecodeError as error:
            return f"the line is not UTF-8 (byte {line[error.start]:#04x})"
        except csv.Error as error:
            return f"the line is not one row of a CSV ({error}); a field can't hold a line break"
        if len(fields) != len(self._names):
            return f"a row has {len(self._names)} fields, but this line has {len(fields)}"
        return fields


def _whole_lines(stream: BinaryIO, file: Path) -> Iterator[bytes]:
    """The rest of a stream in pieces of some BLOCK_BYTES that end where a line ends."""
    rest = b""
    while more := stream.read(BLOCK_BYTES):
        cut = more.rfind(b"\n") + 1
        if not cut:
            rest += more
            if len(rest) > LONGEST_LINE:
                raise ReplayError(f"{file} has to have lines of less than {LONGEST_LINE >> 20} MiB: is it a CSV file?")
            continue
        yield rest + more[:cut]
        rest = more[cut:]
    if rest:
        yield rest


def _shown(line: bytes) -> str:
    return line.rstrip(b"\r\n").decode("utf-8", "backslashreplace")[:SHOWN_TEXT]
