"""Parquet files, block by block."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from generator.replay.errors import ReplayError
from generator.replay.mapping import Mapping
from generator.replay.source import SHOWN_TEXT, Block, Position, Reject, refuse_missing_columns, unique_names
from generator.replay.values import is_text, shown

BLOCK_ROWS = 100_000


class ParquetSource:
    """A Parquet file; rows are numbered from 1."""

    unit = "row"

    def __init__(self, file: Path, mapping: Mapping) -> None:
        self.file = file
        try:
            with pq.ParquetFile(file) as parquet:
                schema = parquet.schema_arrow
                groups = [parquet.metadata.row_group(i).num_rows for i in range(parquet.metadata.num_row_groups)]
        except (pa.ArrowException, OSError, UnicodeError) as error:
            raise ReplayError(f"{file} is not a readable Parquet file: {error}") from None
        self._names = unique_names(schema.names)
        refuse_missing_columns(file, self._names, mapping)
        self._wanted = [n for n, name in enumerate(self._names) if name in mapping.columns]
        nested = [schema.field(n) for n in self._wanted if pa.types.is_nested(schema.field(n).type)]
        if nested:
            raise ReplayError(
                f"a column has to hold one value a row, but {nested[0].name} of {file} is {nested[0].type}"
            )
        self._read = sorted({schema.names[n] for n in self._wanted})
        self._raw_names = schema.names
        self._first_rows = np.cumsum([1, *groups])
        self.size = int(self._first_rows[-1]) - 1
        if not self.size:
            raise ReplayError(f"{file} has columns, but no row: was it written to its end?")

    def row_of_share(self, share: float) -> int:
        """See Source.row_of_share."""
        return 1 + int(self.size * share)

    def blocks(self, start: Position | None = None) -> Iterator[Block]:
        """See Source.blocks."""
        try:
            with pq.ParquetFile(self.file) as parquet:
                for group in range(start.at if start else 0, parquet.metadata.num_row_groups):
                    position = Position(group, int(self._first_rows[group]))
                    row = position.row
                    for batch in parquet.iter_batches(BLOCK_ROWS, row_groups=[group], columns=self._read):
                        yield _block(self._named(batch), row, position)
                        row += batch.num_rows
        except (pa.ArrowException, OSError, UnicodeError) as error:
            raise ReplayError(f"{self.file} is damaged, or was not written to its end: {error}") from None

    def _named(self, batch: pa.RecordBatch) -> pa.Table:
        """The wanted columns under their unique names. Of columns of one name a file gives all, in their order."""
        places: dict[str, list[int]] = {}
        for place, name in enumerate(batch.schema.names):
            places.setdefault(name, []).append(place)
        nth = {n: self._raw_names[:n].count(self._raw_names[n]) for n in self._wanted}
        columns = {self._names[n]: batch.column(places[self._raw_names[n]][nth[n]]) for n in self._wanted}
        return pa.table(columns)


def _block(columns: pa.Table, row: int, position: Position) -> Block:
    last = row + columns.num_rows - 1
    columns, wrong = _in_utf8(columns)
    rejects = [Reject(row + n, reason, _text(columns.slice(n, 1))) for n, reason in sorted(wrong.items())]
    right = np.array([n for n in range(columns.num_rows) if n not in wrong], np.int64) if wrong else None
    kept = columns if right is None else columns.take(right)
    rows = np.arange(row, last + 1)
    return Block(
        kept, rows if right is None else rows[right], rejects, lambda n: _text(kept.slice(n, 1)), position, last, last
    )


def _in_utf8(columns: pa.Table) -> tuple[pa.Table, dict[int, str]]:
    """The columns with texts that are UTF-8, and of the rows whose texts were not, why: nothing else checks a file's texts."""
    wrong: dict[int, str] = {}
    for place, name in enumerate(columns.column_names):
        column: Any = columns[name].combine_chunks()
        if pa.types.is_dictionary(column.type):
            column = (
                column.cast(column.type.value_type)
                if _is_utf8(column.dictionary)
                else column.dictionary.cast(pa.binary()).take(column.indices)
            )
        if not (is_text(column.type) or _is_binary(column.type)):
            continue
        raw = column.cast(pa.binary())
        if not _is_utf8(raw):
            values: list[bytes | None] = raw.to_pylist()
            wrong |= {
                n: f"the column {name} is not UTF-8 ({at})"
                for n, value in enumerate(values)
                if (at := _not_utf8(value))
            }
            raw = pa.array(
                [None if value is None else value.decode("utf-8", "backslashreplace").encode() for value in values]
            )
        columns = columns.set_column(place, name, raw.cast(pa.string()))
    return columns, wrong


def _is_binary(kind: pa.DataType) -> bool:
    of = pa.types
    return of.is_binary(kind) or of.is_large_binary(kind) or of.is_binary_view(kind) or of.is_fixed_size_binary(kind)


def _is_utf8(column: Any) -> bool:
    try:
        column.cast(pa.binary()).cast(pa.string())
    except pa.ArrowInvalid:
        return False
    return True


def _not_utf8(value: bytes | None) -> str:
    """The first byte that is wrong; empty where none is."""
    try:
        (value or b"").decode()
    except UnicodeDecodeError as error:
        return f"byte {error.object[error.start]:#04x}"
    return ""


def _text(row: pa.Table) -> str:
    values = {name: shown(column[0]) for name, column in zip(row.column_names, row.columns, strict=True)}
    return json.dumps(values, default=str, ensure_ascii=False)[:SHOWN_TEXT]
