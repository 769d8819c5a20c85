"""What a message has to be to count as a transaction."""

from datetime import UTC
from typing import Any, Final

import msgspec
import numpy as np

from detection.json_structure import Names, depth
from ml.features.events import milliseconds
from ml.schema import REQUIRED_FIELDS, TRANSACTION_FIELDS, Transaction

_decode: Final = msgspec.json.Decoder(Transaction).decode
_ALL_MARKS: Final = 3 * 2 + 9 * 4
"""Quotation marks of a transaction with all its fields: three are numbers, and nine are texts."""
_quoted_nulls: Final = [f'"{name}":null'.encode() for name in TRANSACTION_FIELDS[len(REQUIRED_FIELDS) :]]
_names: Final = Names(TRANSACTION_FIELDS)

DEEPEST: Final = 64
"""How deep objects and arrays may be nested: what a decoder can take would depend on the stack that it runs on."""

_TOO_DEEP: Final = f"objects and arrays are nested more than {DEEPEST} levels deep"


class Invalid(ValueError):
    """A message is not a transaction; the text is the reason, for a person."""


def parse(value: bytes | None, known_marks: int = 0) -> Transaction:
    """The transaction that a message's value holds, its time in UTC and whole milliseconds.

    known_marks: quotation marks of fields beside ours that were found in the outermost object; see `is_plain`.

    Raises `Invalid` where the value is not exactly one JSON object that fits `ml.schema.Transaction`: another type (a
    number for a string too), a missing field, an infinite, NaN or negative amount, a time without zone, a field twice,
    text after the object, bytes that are not UTF-8, more than `DEEPEST` levels. Fields that are ignored are JSON too, of
    any size. Nothing else is raised, whatever the bytes are.
    """
    if value is None:
        raise Invalid("the value is null (a tombstone); a transaction is a JSON object")
    try:
        transaction = _decode(value)
        if not is_plain(value, transaction, known_marks):
            _check_whole(value)
    except msgspec.ValidationError as error:
        raise Invalid(_in_words(value, error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        # How deep a decoder goes before it gives up differs between versions of Python; the reason does not.
        raise Invalid(_TOO_DEEP if _is_too_deep(value) else _in_words(value, error)) from None
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


def is_plain(value: bytes, t: Transaction, known_marks: int = 0) -> bool:
    """Whether a quick count shows that the object holds nothing but the fields that were decoded, each of them once.

    known_marks: quotation marks of other fields that were decoded too, each of them counted once.
    """
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
    more = value.count(b'"') - marks - known_marks
    return more == 0 or (
        more == 2 * unknown
        and all(null in value for null, field in zip(_quoted_nulls, optional, strict=True) if field is None)
    )


def _check_whole(value: bytes) -> None:
    """Raises where something that the decoder ignores is wrong with a JSON object: its text, its depth, its names."""
    if not value.isascii():
        value.decode()
    if _is_too_deep(value):
        raise Invalid(_TOO_DEEP)
    if repeated := _names.repeated(value):
        raise Invalid(f"the field {repeated[0]!r} stands in the object more than once")


def _is_too_deep(value: bytes) -> bool:
    return value.count(b"{") + value.count(b"[") > DEEPEST and depth(value) > DEEPEST


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
