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


def in_time_order(
    blocks: Iterable[Fitted], schema: pa.Schema, progress: Callable[[], None] = lambda: None
) -> Iterator[Fitted]:
    """The blocks' rows in the order of time, those of one time in the file's; rows that share a time come in one block.

    All blocks are read before the first one comes; then their rows lie in temporary files (TMPDIR), as large as the
    transactions are in Parquet. In memory there are BUCKET_ROWS at once, or all that share a time, and each row's time.
    """
    with tempfile.TemporaryDirectory(prefix="scoreline-sort-") as name:
        folder = Path(name)
        first, times = None, [np.zeros(0, np.int64)]
        with pq.ParquetWriter(folder / "all", schema) as whole:
            for block in blocks:
                first = first or block
                whole.write_table(block.table)
                times.append(block.table[TIME].to_numpy())
                progress()
        bounds = _bounds(np.concatenate(times))
        if first is not None:
            _split(folder, bounds, schema)
            for bucket in range(len(bounds) + 1):
                table = pq.read_table(folder / str(bucket))
                order = np.argsort(table[TIME].to_numpy(), kind="stable")
                yield Fitted(table.take(order), [], first.position, first.last, first.done)


def _bounds(times: Array) -> Array:
    """Times that cut the rows into parts of some BUCKET_ROWS; a part holds what is before its bound, and no time is cut."""
    ordered = np.sort(times)
    return np.unique(ordered[BUCKET_ROWS::BUCKET_ROWS])


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
