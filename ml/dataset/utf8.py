"""Text that is not UTF-8: nothing else checks what a Parquet file has, and later it would be any error."""

from typing import Any, NamedTuple

import pyarrow as pa


class NotUtf8(NamedTuple):
    """Where it is: the column, and the row from 0 on."""

    column: str
    row: int


def not_utf8(batch: pa.RecordBatch) -> NotUtf8 | None:
    """The first text of a batch that is not UTF-8; None where all are."""
    columns: list[Any] = batch.columns
    for name, column in zip(batch.schema.names, columns, strict=True):
        texts = column.dictionary if pa.types.is_dictionary(column.type) else column
        if not (pa.types.is_string(texts.type) or pa.types.is_large_string(texts.type)):
            continue
        try:
            texts.cast(pa.binary()).cast(pa.string())
        except pa.ArrowInvalid:
            return NotUtf8(name, next(n for n in range(len(column)) if not _is_utf8(column[n])))
    return None


def _is_utf8(value: Any) -> bool:
    try:
        value.as_py()
    except UnicodeDecodeError:
        return False
    return True
