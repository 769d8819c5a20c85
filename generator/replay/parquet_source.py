"""Parquet files, block by block."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from generator.replay.errors import ReplayError
from generator.replay.mapping import Mapping
from generator.replay.source import SHOWN_TEXT, Block, Position, refuse_missing_columns

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
        except (pa.ArrowException, OSError) as error:
            raise ReplayError(f"{file} is not a readable Parquet file: {error}") from None
        refuse_missing_columns(file, schema.names, mapping)
        nested = [field for field in schema if field.name in mapping.columns and pa.types.is_nested(field.type)]
        if nested:
            raise ReplayError(
                f"a column has to hold one value a row, but {nested[0].name} of {file} is {nested[0].type}"
            )
        self._wanted = sorted(mapping.columns)
        self._first_rows = np.cumsum([1, *groups])
        self.size = int(self._first_rows[-1]) - 1

    def blocks(self, start: Position | None = None) -> Iterator[Block]:
        """See Source.blocks."""
        with pq.ParquetFile(self.file) as parquet:
            for group in range(start.at if start else 0, parquet.metadata.num_row_groups):
                position = Position(group, int(self._first_rows[group]))
                row = position.row
                for batch in parquet.iter_batches(BLOCK_ROWS, row_groups=[group], columns=self._wanted):
                    yield _block(pa.Table.from_batches([batch]), row, position)
                    row += batch.num_rows


def _block(columns: pa.Table, row: int, position: Position) -> Block:
    def text(n: int) -> str:
        return json.dumps(columns.slice(n, 1).to_pylist()[0], default=str, ensure_ascii=False)[:SHOWN_TEXT]

    last = row + columns.num_rows - 1
    return Block(columns, np.arange(row, last + 1), [], text, position, last, last)
