"""Questions in other field names: a JSON object by the columns of a data set, as a transaction's JSON."""

import re
from collections.abc import Mapping as Objects
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa

from generator.replay.fit import extra_columns, fit
from generator.replay.mapping import FORMATS, Mapping, load_mapping
from generator.replay.source import Block, Position
from ml.schema import TRANSACTION_FIELDS
from serving.answers import Refused
from serving.http import RequestRefused

_COLUMN: Final = re.compile(r"\(column (.+?)\) must")
_decode: Final = msgspec.json.Decoder(dict[str, Any]).decode


class Mappings:
    """The formats of `scoreline replay`, by name. A label is not asked for: it is what nobody knows yet."""

    def __init__(self) -> None:
        self._mappings: dict[str, Mapping] = {}
        for file in sorted(FORMATS.glob("*.yaml")):
            self._mappings[file.stem] = load_mapping(file.stem).model_copy(update={"label": None})

    @property
    def names(self) -> list[str]:
        """What `?mapping=` may be."""
        return list(self._mappings)

    def transaction(self, name: str, body: bytes) -> bytes:
        """A JSON object by a data set's columns as the JSON of a transaction, with the extras that the mapping names.

        Raises `RequestRefused` (422) with the column that is at fault.
        """
        mapping = self._mappings.get(name)
        if mapping is None:
            words = f"mapping is one of {', '.join(self._mappings)}, not {name[:80]!r}"
            raise RequestRefused(Refused("wrong parameter", 422, words, "mapping"))
        try:
            columns = {column: _text(column, value) for column, value in _decode(body).items()}
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise RequestRefused(Refused("not a transaction", 422, f"the body is no JSON object: {error}")) from error
        fitted = fit(_block(columns, mapping, len(body)), mapping)
        if fitted.rejects:
            reason = fitted.rejects[0].reason
            found = _COLUMN.search(reason)
            raise RequestRefused(Refused("not a transaction", 422, reason, found[1] if found else None))
        (row,) = fitted.table.select(list(TRANSACTION_FIELDS)).to_pylist()
        extras = extra_columns(fitted.table, mapping)
        return msgspec.json.encode(row | (extras.to_pylist()[0] if extras is not None else {}))


def _text(column: str, value: Any) -> str | None:
    """A JSON value as a CSV file would have it. Numbers that are whole lose their `.0`, as identifiers have none."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    if isinstance(value, int | float):
        return repr(value)
    words = f"{column} is a number, a text, true, false or null, not an object or an array"
    raise RequestRefused(Refused("not a transaction", 422, words, column))


def _block(columns: Objects[str, str | None], mapping: Mapping, size: int) -> Block:
    """One row, as of a file. Columns that the mapping names and the object lacks are null."""
    table = pa.table({name: pa.array([columns.get(name)], pa.string()) for name in sorted(mapping.columns)})
    return Block(table, np.array([1]), [], lambda _: "", Position(0, 1), 1, size)
