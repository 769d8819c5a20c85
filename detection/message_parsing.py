"""What a message has to be to count as a transaction."""

import re
from collections import Counter
from datetime import UTC
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from ml.features.events import milliseconds
from ml.schema import REQUIRED_FIELDS, TRANSACTION_FIELDS, Transaction

_decode: Final = msgspec.json.Decoder(Transaction).decode
_decode_text: Final = msgspec.json.Decoder(str).decode
_ALL_MARKS: Final = 3 * 2 + 9 * 4
"""Quotation marks of a transaction with all its fields: three are numbers, and nine are texts."""
_quoted_names: Final = [f'"{name}"'.encode() for name in TRANSACTION_FIELDS]
_quoted_nulls: Final = [f'"{name}":null'.encode() for name in TRANSACTION_FIELDS[len(REQUIRED_FIELDS) :]]
_escaped_in_a_name: Final = re.compile(rb"\\u00[567]").search
"""Finds the escapes of the characters that field names consist of: small letters and the underscore."""


def _spelled(name: str) -> bytes:
    """A pattern of a name of which any character may be written as an escape."""
    return b"".join(b"(?:%c|%b)" % (letter, rb"\\u00(?i:%02x)" % letter) for letter in name.encode())


_names: Final = re.compile(b'"(?:' + b"|".join(map(_spelled, TRANSACTION_FIELDS)) + rb')(?="[ \t\r\n]*:)').finditer
"""Finds our fields' names in a JSON text, up to their second quotation mark, and the ends of texts that read like one."""
_QUOTATION_MARK: Final = ord('"')
_DEEPER: Final = np.zeros(256, np.int32)
"""What each byte outside texts does to the number of objects and arrays that are open."""
_DEEPER[list(b"[{")], _DEEPER[list(b"]}")] = 1, -1

DEEPEST: Final = 64
"""How deep objects and arrays may be nested: what a decoder can take would depend on the stack that it runs on."""

_TOO_DEEP: Final = f"objects and arrays are nested more than {DEEPEST} levels deep"


class Invalid(ValueError):
    """A message is not a transaction; the text is the reason, for a person."""


def parse(value: bytes | None) -> Transaction:
    """The transaction that a message's value holds, its time in UTC and whole milliseconds.

    Raises `Invalid` where the value is not exactly one JSON object that fits `ml.schema.Transaction`: another type (a
    number for a string too), a missing field, an infinite, NaN or negative amount, a time without zone, a field twice,
    text after the object, bytes that are not UTF-8, more than `DEEPEST` levels. Fields that are ignored are JSON too, of
    any size. Nothing else is raised, whatever the bytes are.
    """
    if value is None:
        raise Invalid("the value is null (a tombstone); a transaction is a JSON object")
    try:
        transaction = _decode(value)
        if not _is_plain(value, transaction):
            _check_whole(value)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Invalid(_in_words(value, error)) from None
    except RecursionError:
        raise Invalid(_TOO_DEEP) from None
    time = transaction.event_time
    if time.tzinfo is not UTC:
        try:
            time = transaction.event_time = time.astimezone(UTC)
        except OverflowError:
            raise Invalid(f"event_time {time.isoformat()} is outside the years 1 to 9999 in UTC") from None
    if time.microsecond % 1000:
        transaction.event_time = time.replace(microsecond=time.microsecond // 1000 * 1000)
    return transaction


def _in_words(value: bytes, error: Exception) -> str:
    if not value.strip():
        return "the value is empty; a transaction is a JSON object"
    if isinstance(error, UnicodeDecodeError):
        return f"the value is not UTF-8: {error.reason} (byte {error.object[error.start]:#04x} at {error.start:,})"
    text = str(error).replace(" - at `$.", " in the field `")
    return text if isinstance(error, msgspec.ValidationError) else f"the value is not JSON: {text}"


def _is_plain(value: bytes, t: Transaction) -> bool:
    """Whether a quick count shows that the object holds nothing but the fields that were decoded, each of them once."""
    optional = (
        t.currency,
        t.merchant_id,
        t.merchant_category,
        t.country,
        t.latitude,
        t.longitude,
        t.channel,
        t.device_id,
    )
    unknown = optional.count(None)
    marks = _ALL_MARKS - 4 * unknown
    if unknown:
        marks += 2 * ((t.latitude is None) + (t.longitude is None))  # a number has no marks of its own
    if b"\\" in value:
        return False
    # Where the marks are just those of the fields and texts that were decoded, there is no room for another field.
    extra = value.count(b'"') - marks
    return extra == 0 or (
        extra == 2 * unknown
        and all(null in value for null, field in zip(_quoted_nulls, optional, strict=True) if field is None)
    )


def _check_whole(value: bytes) -> None:
    """Raises where something that the decoder ignores is wrong with a JSON object: its text, its depth, its names."""
    if not value.isascii():
        value.decode()
    if value.count(b"{") + value.count(b"[") > DEEPEST and _depth(value) > DEEPEST:
        raise Invalid(_TOO_DEEP)
    if _escaped_in_a_name(value) or any(value.count(name) > 1 for name in _quoted_names):
        repeated = _first_repeated(value)
        if repeated is not None:
            raise Invalid(f"the field {repeated!r} stands in the object more than once")


def _first_repeated(value: bytes) -> str | None:
    """Of a JSON text the first field that its outermost object has twice, however the names are written."""
    characters, depths = _structure(value)
    found = [
        name for name in _names(value) if depths[name.start()] == 1 and characters[name.start()] == _QUOTATION_MARK
    ]
    names = Counter(_decode_text(name[0] + b'"') for name in found)
    return next((name for name in TRANSACTION_FIELDS if names[name] > 1), None)


def _depth(value: bytes) -> int:
    """How deep objects and arrays of a JSON text are nested."""
    return int(_structure(value)[1].max(initial=0))


def _structure(value: bytes) -> "tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32]]":
    """(n,) of the n bytes of a JSON text: the bytes, with blanks for backslashes and quotation marks that texts hold as
    escapes, and how many objects and arrays are open after each.

    NumPy does it, because a text of 64 kB may be nothing but brackets, and many such messages may come.
    """
    # Two by two, from the left: backslashes occur in texts alone, and a run of them begins with an escape.
    characters = np.frombuffer(value.replace(b"\\\\", b"  ").replace(b'\\"', b"  "), np.uint8)
    outside = np.cumsum(characters == _QUOTATION_MARK, dtype=np.int32) & 1 == 0
    return characters, np.cumsum(_DEEPER[characters] * outside, dtype=np.int32)


def too_large(size: int, limit: int) -> str:
    """Why a message of so many bytes, of key and value together, is no transaction."""
    return f"the message has {size:,} bytes; a transaction has at most {limit:,} (max_transaction_bytes)"


def key_mismatch(key: bytes | None, customer_id: str) -> bool:
    """Whether a message's key is not its customer; the customer alone decides which state it belongs to."""
    return key != customer_id.encode()


def too_early(transaction: Transaction, kafka_time: int, max_future_hours: float) -> str | None:
    """Why a transaction is too far ahead of its record's Kafka timestamp (ms), which would poison the state; else None."""
    ahead_hours = hours_ahead(milliseconds(transaction.event_time), kafka_time)
    if ahead_hours <= max_future_hours:
        return None
    return (
        f"event_time {transaction.event_time.isoformat()} is {ahead_hours:,.1f} h ahead of the record's Kafka timestamp; "
        f"at most {max_future_hours:g} h (max_future_hours) is believed"
    )


def hours_ahead(event_time: Any, kafka_time: Any) -> Any:
    """How far events (ms since the epoch, one or (n,)) are ahead of their records' Kafka timestamps (ms).

    In float64, since a producer may set a timestamp that differs from an event's time by more than 64 bits hold.
    """
    return np.subtract(event_time, kafka_time, dtype=np.float64) / 3_600_000
