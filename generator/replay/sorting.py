"""Any order of rows as that of time, in bounded memory: through files of rows that lie close together in time."""

import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from generator.arrays import Array
from generator.replay.fit import TIME, Fitted

BUCKET_ROWS: Final = 500_000
_SAMPLES: Final = 500
"""Times that are kept of so many rows: from them it is known, to some percent, where to cut."""


def in_time_order(
    blocks: Iterable[Fitted], schema: pa.Schema, progress: Callable[[], None] = lambda: None
) -> Iterator[Fitted]:
    """The blocks' rows in the order of time, those of one time in the file's; rows that share a time come in one block.

    All blocks are read before the first one comes; then their rows lie in temporary files (TMPDIR), as large as the
    transactions are in Parquet. In memory there are some BUCKET_ROWS at once, or all that share a time.
    """
    with tempfile.TemporaryDirectory(prefix="scoreline-sort-") as name:
        folder = Path(name)
        first, sampled, each = None, [np.zeros(0, np.int64)], max(1, BUCKET_ROWS // _SAMPLES)
        with pq.ParquetWriter(folder / "all", schema) as whole:
            for block in blocks:
                first = first or block
                whole.write_table(block.table)
                sampled.append(np.sort(block.table[TIME].to_numpy())[::each].copy())
                progress()
        bounds = _bounds(np.concatenate(sampled), BUCKET_ROWS // each)
        if first is not None:
            _split(folder, bounds, schema)
            for bucket in range(len(bounds) + 1):
                table = pq.read_table(folder / str(bucket))
                order = np.argsort(table[TIME].to_numpy(), kind="stable")
                yield Fitted(table.take(order), [], first.position, first.last, first.done)


def _bounds(sampled: Array, step: int) -> Array:
    """Times that cut the rows into parts of so many samples; a part holds what is before its bound, and no time is cut."""
    ordered = np.sort(sampled)
    return np.unique(ordered[step::step])


def _split(folder: Path, bounds: Array, schema: pa.Schema) -> None:
    """Put the rows into a file for each part."""
    writers = [pq.ParquetWriter(folder / str(bucket), schema) for bucket in range(len(bounds) + 1)]
    try:
        with pq.ParquetFile(folder / "all") as whole:
            for batch in whole.iter_batches(BUCKET_ROWS):
                table = pa.Table.from_batches([batch], schema)
                bucket = np.searchsorted(bounds, table[TIME].to_numpy(), side="right")
                for number in np.unique(bucket):
                    writers[number].write_table(table.filter(pa.array(bucket == number)))
    finally:
        for writer in writers:
            writer.close()
