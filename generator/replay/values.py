"""Raw columns as numbers, texts and times, and which of their values are none."""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute

from generator.arrays import Array
from generator.replay.parts import UNIT_MS, UNKNOWN_WORDS, Time
from generator.replay.stamps import as_iso
from generator.replay.written import plain

EARLIEST_MS, LATEST_MS = -62_135_596_800_000, 253_402_300_799_999  # the years 1 to 9999
Column = Any
"""An Arrow array. Of which type is known only when a file is read, so the type checker can't know it."""

pc: Any = pyarrow.compute

_MS: Final = pa.timestamp("ms", tz="UTC")
_PLAIN: Final = r"^(?i:[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|inf(?:inity)?|nan))$"
_LARGEST_WHOLE: Final = 2.0**53
_ROUNDING_MS: Final = 1e-3
"""So much below a whole millisecond still is that one: a count has been rounded to a float."""
DEFAULT_WORDS: Final = frozenset(UNKNOWN_WORDS)


def numbers(column: Column, words: frozenset[str] = DEFAULT_WORDS, decimal: str = ".") -> tuple[Array, Array]:
    """A column as float64 (n,), NaN where it has no value, and which values (n,) are no number.

    words: what means that there is none; decimal: what stands before a text's decimals.
    """
    column = _decoded(column)
    if is_text(column.type):
        values, wrong = _written(_known(column, words), decimal)
    elif pa.types.is_temporal(column.type):
        return np.full(len(column), np.nan), np.ones(len(column), bool)
    else:
        cast, wrong = _cast(column, pa.float64())
        values = cast.to_numpy(zero_copy_only=False).astype(np.float64)
    unknown = [float(word) for word in words if _is_finite(word)]
    if unknown:
        values = np.where(np.isin(values, unknown), np.nan, values)
    return values, wrong


def texts(column: Column, words: frozenset[str] = DEFAULT_WORDS) -> Column:
    """A column as texts without white space and without a pair of quotes around them, null where nothing is left or where a
    word means so. A whole float loses its `.0`."""
    column = _decoded(column)
    text = column.cast(pa.string())
    if pa.types.is_floating(column.type):
        values = column.to_numpy(zero_copy_only=False).astype(np.float64)
        whole = np.isfinite(values) & (values == np.floor(values)) & (np.abs(values) < _LARGEST_WHOLE)
        text = pc.if_else(
            pa.array(whole), pa.array(np.where(whole, values, 0).astype(np.int64)).cast(pa.string()), text
        )
    return _known(text, words)


def times(column: Column, time: Time, words: frozenset[str] = DEFAULT_WORDS) -> tuple[Array, Array, Array]:
    """Milliseconds since the epoch (n,) int64, which rows (n,) have no value, and which values (n,) are no time."""
    if time.unit is not None:
        count, wrong = numbers(column, words)
        missing = np.isnan(count) & ~wrong
        ms = np.floor(count * UNIT_MS[time.unit] + time.origin.timestamp() * 1000 + _ROUNDING_MS)
    else:
        column = _decoded(column)
        column = _known(column, words) if is_text(column.type) else column
        stamps, wrong = _stamps(column, time)
        missing = column.is_null().to_numpy(zero_copy_only=False)
        ms = stamps.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
    inside = (ms >= EARLIEST_MS) & (ms <= LATEST_MS)
    return np.where(inside, ms, 0).astype(np.int64), missing, wrong | ~(inside | missing)


def is_text(kind: Any) -> bool:
    """Whether an Arrow type is one of texts."""
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def shown(value: Any) -> Any:
    """A value of Arrow as Python's; a time that Python has none for (after the year 9999) as Arrow's own number."""
    try:
        return value.as_py()
    except (OverflowError, ValueError):
        return f"{value.value} as {value.type}"


def _decoded(column: Column) -> Column:
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def _known(column: Column, words: frozenset[str]) -> Column:
    """Texts without what surrounds them, null where they mean that there is no value."""
    text = pc.utf8_trim_whitespace(column.cast(pa.string()))
    if pc.any(pc.match_substring_regex(text, "^['\"]")).as_py():
        for quoted in (r"^'([^']*)'$", r'^"([^"]*)"$'):
            text = pc.utf8_trim_whitespace(pc.replace_substring_regex(text, quoted, r"\1"))
    unknown = pc.is_in(pc.utf8_lower(text), pa.array(sorted({*words, ""})))
    return pc.if_else(unknown, None, text)


def _written(text: Column, decimal: str) -> tuple[Array, Array]:
    """Texts as numbers: at once where all are plain, else those that are not as a person writes them."""
    if decimal == ".":
        try:
            return _floats(text.cast(pa.float64())), np.zeros(len(text), bool)
        except pa.ArrowInvalid:
            pass
        easy = pc.match_substring_regex(text, _PLAIN)
        text = pc.if_else(easy, text, pc.coalesce(plain(pc.if_else(easy, None, text), decimal), text))
    else:
        text = pc.coalesce(plain(text, decimal), pc.if_else(pc.is_valid(text), "no number", None))
    cast, wrong = _cast(text, pa.float64())
    return _floats(cast), wrong


def _floats(column: Column) -> Array:
    values: Array = np.array(column.to_numpy(zero_copy_only=False), np.float64)
    return values


def _is_finite(word: str) -> bool:
    try:
        return bool(np.isfinite(float(word)))
    except ValueError:
        return False


def _stamps(column: Column, time: Time) -> tuple[Column, Array]:
    """A column of texts, timestamps or dates as timestamps in UTC, null where it is none; and which values are none."""
    if not is_text(column.type):
        if not pa.types.is_temporal(column.type) or pa.types.is_time(column.type):
            return pa.nulls(len(column), _MS), np.ones(len(column), bool)
        stamps, wrong = _cast(column, pa.timestamp("ms", tz=getattr(column.type, "tz", None)))
        return _in_utc(stamps, time.zone), wrong
    if time.format != "iso":
        stamps = pc.strptime(column, time.format, "ms", error_is_null=True)
        return _in_utc(stamps, time.zone), pc.and_(stamps.is_null(), column.is_valid()).to_numpy(zero_copy_only=False)
    try:
        return _iso(column, time.zone, _at_once)
    except pa.ArrowInvalid:
        return _iso(pc.coalesce(as_iso(column), column), time.zone, _cast)


def _iso(
    column: Column, zone: str, cast: Callable[[Column, pa.DataType], tuple[Column, Array]]
) -> tuple[Column, Array]:
    """Texts in ISO 8601, of which some name their zone."""
    zoned = pc.match_substring_regex(column, r"\d[T ]\d.*(Z|[+-]\d\d:?(\d\d)?)$").fill_null(False)
    found = []
    for mask, kind in ((zoned, pa.timestamp("us", tz="UTC")), (pc.invert(zoned), pa.timestamp("us"))):
        stamps, wrong = cast(pc.if_else(mask, column, None), kind)
        found.append((_in_utc(stamps.cast(pa.timestamp("ms", tz=kind.tz), safe=False), zone), wrong))
    (with_zone, wrong), (without, wrong_too) = found
    return pc.coalesce(with_zone, without), wrong | wrong_too


def _in_utc(stamps: Column, zone: str) -> Column:
    """Timestamps in UTC; those that name no zone are the wall clock's in `zone` (the earlier one where it is set back)."""
    if stamps.type.tz is None and zone != "UTC":
        stamps = pc.assume_timezone(stamps, zone, ambiguous="earliest", nonexistent="latest")
    return stamps.cast(_MS)


def _at_once(column: Column, kind: pa.DataType) -> tuple[Column, Array]:
    return column.cast(kind, safe=False), np.zeros(len(column), bool)


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
