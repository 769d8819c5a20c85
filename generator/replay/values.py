"""Raw columns as numbers, texts and times, and which of their values are none."""

from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute

from generator.arrays import Array
from generator.replay.mapping import UNIT_MS, Time

EARLIEST_MS, LATEST_MS = -62_135_596_800_000, 253_402_300_799_999  # the years 1 to 9999
Column = Any
"""An Arrow array. Of which type is known only when a file is read, so the type checker can't know it."""

pc: Any = pyarrow.compute

_MS: Final = pa.timestamp("ms", tz="UTC")
_LARGEST_WHOLE: Final = 2.0**53


def numbers(column: Column) -> tuple[Array, Array]:
    """A column as float64 (n,), NaN where it has no value, and which values (n,) are no number."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if _is_text(column.type):
        column = pc.utf8_trim_whitespace(column)
        column = pc.if_else(pc.equal(column, ""), None, column)
    elif pa.types.is_temporal(column.type):
        return np.full(len(column), np.nan), np.ones(len(column), bool)
    cast, wrong = _cast(column, pa.float64())
    return cast.to_numpy(zero_copy_only=False).astype(np.float64), wrong


def texts(column: Column) -> Column:
    """A column as texts without white space around them, null where nothing is left. Whole floats lose their `.0`."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_floating(column.type):
        values = column.to_numpy(zero_copy_only=False)
        known = ~np.isnan(values)
        if bool(np.all((values[known] == np.floor(values[known])) & (np.abs(values[known]) < _LARGEST_WHOLE))):
            column = pa.array(np.where(known, values, 0).astype(np.int64), mask=~known)
    text = pc.utf8_trim_whitespace(column.cast(pa.string()))
    return pc.if_else(pc.equal(text, ""), None, text)


def times(column: Column, time: Time) -> tuple[Array, Array, Array]:
    """Milliseconds since the epoch (n,) int64, which rows (n,) have no value, and which values (n,) are no time."""
    if time.unit is not None:
        count, wrong = numbers(column)
        missing = np.isnan(count) & ~wrong
        ms = np.floor(count * UNIT_MS[time.unit] + time.origin.timestamp() * 1000)
    else:
        if pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        stamps, wrong = _stamps(column, time)
        missing = column.is_null().to_numpy(zero_copy_only=False)
        ms = stamps.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
    inside = (ms >= EARLIEST_MS) & (ms <= LATEST_MS)
    return np.where(inside, ms, 0).astype(np.int64), missing, wrong | ~(inside | missing)


def _stamps(column: Column, time: Time) -> tuple[Column, Array]:
    """A column of texts, timestamps or dates as timestamps in UTC, null where it is none; and which values are none."""
    if not _is_text(column.type):
        if not pa.types.is_temporal(column.type) or pa.types.is_time(column.type):
            return pa.nulls(len(column), _MS), np.ones(len(column), bool)
        stamps, wrong = _cast(column, pa.timestamp("ms", tz=getattr(column.type, "tz", None)))
        return _in_utc(stamps, time.zone), wrong
    column = pc.utf8_trim_whitespace(column)
    if time.format != "iso":
        stamps = pc.strptime(column, time.format, "ms", error_is_null=True)
        return _in_utc(stamps, time.zone), pc.and_(stamps.is_null(), column.is_valid()).to_numpy(zero_copy_only=False)
    zoned = pc.match_substring_regex(column, r"\d[T ]\d.*(Z|[+-]\d\d:?(\d\d)?)$")
    return _iso(column, zoned.fill_null(False), time.zone)


def _iso(column: Column, zoned: Column, zone: str) -> tuple[Column, Array]:
    """Texts in ISO 8601, of which those that are `zoned` name their zone."""
    found = []
    for mask, kind in ((zoned, pa.timestamp("us", tz="UTC")), (pc.invert(zoned), pa.timestamp("us"))):
        stamps, wrong = _cast(pc.if_else(mask, column, None), kind)
        found.append((_in_utc(stamps.cast(pa.timestamp("ms", tz=kind.tz), safe=False), zone), wrong))
    (with_zone, wrong), (without, wrong_too) = found
    return pc.coalesce(with_zone, without), wrong | wrong_too


def _in_utc(stamps: Column, zone: str) -> Column:
    """Timestamps in UTC; those that name no zone are the wall clock's in `zone` (the earlier one where it is set back)."""
    if stamps.type.tz is None and zone != "UTC":
        stamps = pc.assume_timezone(stamps, zone, ambiguous="earliest", nonexistent="latest")
    return stamps.cast(_MS)


def _cast(column: Column, kind: pa.DataType) -> tuple[Column, Array]:
    """A column in another type, null where that fails, and where (n,) it does: found by halving what fails."""
    try:
        return column.cast(kind, safe=False), np.zeros(len(column), bool)  # not safe: it may round
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        if len(column) <= 1:
            return pa.array([None] * len(column), kind), np.ones(len(column), bool)
    middle = len(column) // 2
    (left, wrong), (right, wrong_too) = _cast(column[:middle], kind), _cast(column[middle:], kind)
    return pa.concat_arrays([left, right]), np.concatenate([wrong, wrong_too])


def _is_text(kind: Any) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
