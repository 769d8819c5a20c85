"""Columns → InfluxDB's line protocol, many points at a time.

Grammar: https://docs.influxdata.com/influxdb/v2/reference/syntax/line-protocol/. What the grammar cannot hold, on one
InfluxDB version or another, is replaced. In measurements, tags and field names: a line break or another control character
by a space; what is longer than `MAX_CHARACTERS` is cut. Backslashes (they would escape what follows), in names and, at the
end of a tag's value and before its spaces, commas and equals signs, by slashes. A # that begins a measurement (the line
would be a comment) by an underscore. String fields keep every character.
"""

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

Array: TypeAlias = "pa.Array[Any]"
Column: TypeAlias = "Array | np.ndarray | Sequence[Any]"

MAX_CHARACTERS: Final = 256
"""InfluxDB refuses a point whose measurement and tags together pass 64 KiB, and with it fails the whole request."""

# The stubs of Arrow's function know neither constants among the columns nor the separator.
_join: Callable[..., Array] = pc.binary_join_element_wise

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
# InfluxDB 1.8 finds the end of a line by other rules than the end of a tag, and disagrees with itself here.
_LEADING_ASTRAY: Final = re.compile(r"\\+(?=[ ,=]|\Z)")


def points(measurement: str, tags: Mapping[str, Column], fields: Mapping[str, Column], time_ns: Column) -> bytes:
    r"""One line for each row, each with its line break; n rows in every column.

    Tags are strings (few distinct ones), fields strings, booleans, integers of 64 bits or finite floats, `time_ns`
    integer nanoseconds since the epoch. A null, or an empty tag value, is left out of its line; a row without any field
    is no point and is left out. Raises ValueError for a float that is not finite and for a column of another type.

    >>> points("alert", {"country": ["FR", None]}, {"amount": [5.0, 7.25], "reasons": ['say "hi"', None]}, [1, 2])
    b'alert,country=FR amount=5,reasons="say \\"hi\\"" 1\nalert amount=7.25 2\n'
    """
    heads = [_tag(name, _array(values)) for name, values in sorted(tags.items())]
    pieces = [_field(name, _array(values)) for name, values in fields.items()]
    times = _array(time_ns).cast(pa.string())
    some = functools.reduce(pc.or_, (piece.is_valid() for piece in pieces))
    if not pc.all(some).as_py():
        heads, pieces = [head.filter(some) for head in heads], [piece.filter(some) for piece in pieces]
        times = times.filter(some)
    joined = _join(*pieces, ",", null_handling="skip")
    return _bytes(_join(escaped_measurement(measurement), *heads, " ", joined, " ", times, "\n", ""))


def escaped_measurement(name: str) -> str:
    r"""A measurement's name as the grammar requires it.

    >>> escaped_measurement("card testing")
    'card\\ testing'
    """
    return re.sub("^#", "_", _representable_name(name)).replace(",", r"\,").replace(" ", r"\ ")


def escaped_name(name: str) -> str:
    r"""A tag's or a field's name as the grammar requires it.

    >>> escaped_name("a=b")
    'a\\=b'
    """
    return _escaped(_representable_name(name))


def escaped_tag(value: str) -> str:
    r"""A tag's value as the grammar requires it.

    >>> escaped_tag("cash, a=b")
    'cash\\,\\ a\\=b'
    """
    return _escaped(_LEADING_ASTRAY.sub(lambda found: "/" * len(found[0]), _representable(value)))


def _escaped(text: str) -> str:
    return text.replace(",", r"\,").replace("=", r"\=").replace(" ", r"\ ")


def _representable(text: str) -> str:
    return _CONTROL.sub(" ", text[:MAX_CHARACTERS])


def _representable_name(text: str) -> str:
    return _representable(text).replace("\\", "/")


def _array(values: Column) -> Array:
    return values if isinstance(values, pa.Array) else pa.array(values)


def _tag(name: str, values: Array) -> Array:
    """`,name=value` or an empty string for each row; escaped once for each distinct value."""
    encoded = values.cast(pa.string()).dictionary_encode()
    texts = [f",{escaped_name(name)}={escaped_tag(value)}" if value else "" for value in encoded.dictionary.to_pylist()]
    return pa.array(texts, pa.string()).take(encoded.indices).fill_null("")


def _field(name: str, values: Array) -> Array:
    """`name=value` for each row, null for a null."""
    key, kind = f"{escaped_name(name)}=", values.type
    if pa.types.is_string(kind):
        text = pc.replace_substring(pc.replace_substring(values, "\\", "\\\\"), '"', '\\"')
        return _join(f'{key}"', text, '"', "")
    if pa.types.is_floating(kind):
        _require_finite(name, values)
        return _join(key, values.cast(pa.string()), "")
    if pa.types.is_integer(kind):
        return _join(key, values.cast(pa.string()), "i", "")
    if pa.types.is_boolean(kind) or pa.types.is_null(kind):
        return _join(key, values.cast(pa.string()), "")
    raise ValueError(
        f"field {name}: InfluxDB holds strings, booleans, integers and floats, not {kind}; convert it first"
    )


def _require_finite(name: str, values: Array) -> None:
    row = pc.is_finite(values).index(False).as_py()
    if row >= 0:
        raise ValueError(
            f"field {name}: InfluxDB holds finite numbers, row {row} has {values[row]}; use null to leave it out"
        )


def _bytes(lines: Array) -> bytes:
    """The strings one after the other, without making Python strings."""
    if len(lines) == 0:
        return b""
    whole: Any = pc.binary_join(pa.ListArray.from_arrays([0, len(lines)], lines.cast(pa.binary())), b"")
    return bytes(whole[0].as_buffer())
