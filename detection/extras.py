"""Declared extras of messages: numbers beside the contract's fields, read by name.

An extra is optional, and stops no payment: what is no number of its range, or comes twice, is unknown, and marked with why.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, Any, Final, NamedTuple

import msgspec
import numpy as np
from msgspec import Meta

from detection.json_structure import Names
from detection.message_parsing import is_plain, parse
from ml.arrays import Floats
from ml.features.declared import Declared, Extra
from ml.schema import Transaction

_LONGEST: Final = 60
"""Bytes of a refused value that are shown."""
_REPEATED: Final = "it stands in the object more than once"
_NONE_REFUSED: Final[dict[str, str]] = {}
_encode: Final = msgspec.json.Encoder().encode
_lines: Final = msgspec.json.Encoder().encode_lines
_astuple: Final = msgspec.structs.astuple


class Found(NamedTuple):
    """The declared extras of one message: a struct of numbers, None where unknown; and why some are, by name."""

    numbers: Any
    refused: dict[str, str]


class ExtrasReader:
    """Reads transactions with the extras that are declared."""

    def __init__(self, declared: Declared) -> None:
        self._declared = declared
        attributes = [f"n{k}" for k in range(len(declared))]  # a name may be one that Python's objects have
        called = dict(zip(attributes, (extra.name for extra in declared), strict=True))
        ranged = [_ranged(extra) for extra in declared]
        self._kind = _struct("Extras", [(a, kind, None) for a, kind in zip(attributes, ranged, strict=True)], called)
        raw = _struct("RawExtras", [(a, msgspec.Raw, msgspec.Raw()) for a in attributes], called)
        self._decode = msgspec.json.Decoder(self._kind).decode
        self._decode_raw = msgspec.json.Decoder(raw).decode
        self._decode_one = [msgspec.json.Decoder(kind).decode for kind in ranged]
        self._nulls = [f'"{extra.name}":null'.encode() for extra in declared]
        self._names = Names([extra.name for extra in declared])

    def parse(self, value: bytes | None) -> tuple[Transaction, Found]:
        """The transaction that a message's value holds, and its extras. Raises as `detection.message_parsing.parse` does;
        no extra is a reason to."""
        numbers, marks = self._quickly(value)
        transaction = parse(value, marks)
        assert value is not None  # else it was no transaction
        if numbers is not None and is_plain(value, transaction, marks):
            return transaction, Found(numbers, _NONE_REFUSED)
        repeated = self._names.repeated(value)
        if numbers is not None and not repeated:
            return transaction, Found(numbers, _NONE_REFUSED)
        return transaction, self._one_by_one(value, repeated)

    def _quickly(self, value: bytes | None) -> tuple[Any, int]:
        """All extras at once, None where one of them is none; and the quotation marks that they have."""
        try:
            numbers = self._decode(value or b"")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None, 0
        given = _astuple(numbers)
        there = len(given)
        if None in given:
            assert value is not None  # else it would have been no JSON
            nulls = b"null" in value
            there -= sum(
                number is None and not (nulls and null in value)
                for number, null in zip(given, self._nulls, strict=True)
            )
        return numbers, 2 * there

    def _one_by_one(self, value: bytes, repeated: Sequence[str]) -> Found:
        """Extras of a value that holds a transaction, some of which may be none."""
        refused, numbers = {}, []
        raws = _astuple(self._decode_raw(value))
        for extra, raw, decode in zip(self._declared, map(bytes, raws), self._decode_one, strict=True):
            number = None
            if extra.name in repeated:
                refused[extra.name] = _REPEATED
            elif raw:
                try:
                    number = decode(raw)
                except msgspec.DecodeError:
                    refused[extra.name] = f"it must be {extra.range}, but is {_shown(raw)}"
            numbers.append(number)
        return Found(self._kind(*numbers), refused)

    def unknown(self) -> Found:
        """Of a transaction that has none."""
        return Found(self._kind(), _NONE_REFUSED)

    def array(self, found: Sequence[Found]) -> Floats:
        """(n, extras) of n messages, NaN where unknown."""
        out = np.array([_astuple(one.numbers) for one in found], np.float64)
        return out.reshape(len(found), len(self._declared))


@lru_cache(4)
def reader_of(declared: Declared) -> ExtrasReader | None:
    """The reader of what is declared; None where nothing is."""
    return ExtrasReader(declared) if declared else None


def members(found: Sequence[Found]) -> list[bytes]:
    """What the extras of each of n messages add to its score's JSON, behind a comma."""
    lines = _lines([one.numbers for one in found]).split(b"\n")[:-1]
    return [
        b',"extras":%b,"refused_extras":%b' % (line, _encode(one.refused)) if one.refused else b',"extras":%b' % line
        for line, one in zip(lines, found, strict=True)
    ]


def _ranged(extra: Extra) -> Any:
    return Annotated[float, Meta(ge=extra.lowest, le=extra.highest)] | None


def _struct(name: str, fields: list[tuple[str, Any, Any]], called: dict[str, str]) -> Any:
    return msgspec.defstruct(name, fields, rename=called)


def _shown(raw: bytes) -> str:
    text = raw[:_LONGEST].decode("utf-8", "replace")
    return text + "…" * (len(raw) > _LONGEST)
