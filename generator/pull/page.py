"""A page of JSON records as transactions, ready for Kafka, and those that can't be mapped with the reason."""

import json
from collections.abc import Callable
from hashlib import blake2b
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from generator.pull.errors import PullError
from generator.pull.paging import is_text, value_at
from generator.records import records
from generator.replay.fit import ROW, TIME, extra_columns, fit
from generator.replay.mapping import Mapping
from generator.replay.source import Block, Position, Reject
from generator.stream import Batch
from generator.tables import LABEL_ARROW
from ml.schema import TRANSACTION_FIELDS

_SHOWN_TEXT = 300


class Ready(NamedTuple):
    """One record of a page. identity: by which it is known again; reason: why it is a dead letter, empty for a transaction;
    time: its event_time in ms since the epoch; raw: as the service has it."""

    identity: str
    key: bytes
    value: bytes
    reason: str
    time: int
    raw: Any


def for_pulling(mapping: Mapping) -> Mapping:
    """The mapping without its label, which is nothing that a payment has when it is made.

    Raises PullError where it takes an id from a row's number: a service's records have none that stays the same.
    """
    for name in ("transaction_id", "customer_id"):
        field = getattr(mapping, name)
        if field is None or not field.read:
            raise PullError(
                f"a pull requires a column for {name}, which stays the same however often a record comes, but the mapping "
                f"{mapping.name} has none: name one"
            )
    return mapping.model_copy(update={"label": None})


def ready(page: list[Any], mapping: Mapping, most_bytes: int) -> list[Ready]:
    """A page's records: the transactions in the order of event_time, then those that can't be mapped."""
    fitted = fit(_block(page, mapping), mapping)
    table = fitted.table.sort_by([(TIME, "ascending"), (ROW, "ascending")])
    empty = LABEL_ARROW.empty_table()
    made = records(Batch(table.select(list(TRANSACTION_FIELDS)), empty, empty), extra_columns(table, mapping))
    found = []
    ids: list[Any] = table["transaction_id"].to_pylist()
    rows: list[Any] = table[ROW].to_pylist()
    for transaction_id, row, time, key, value in zip(ids, rows, made.times, made.keys, made.values, strict=True):
        size = len(key) + len(value)
        reason = f"it has {size:,} bytes as a transaction, but at most {most_bytes:,}" if size > most_bytes else ""
        raw = page[row - 1]
        identity = _digest(key + b"\0" + transaction_id.encode())
        found.append(Ready(identity, key, _json(raw) if reason else value, reason, int(time), raw))
    for reject in fitted.rejects:
        raw = page[reject.row - 1]
        found.append(Ready(_identity_of(raw, mapping), b"", _json(raw), reject.reason, 0, raw))
    return found


def fields_of(page: list[Any]) -> str:
    """The names in a page's first record, for a person."""
    first = page[0]
    return ", ".join(map(str, first))[:400] if isinstance(first, dict) else f"{first!r:.80}"


def _block(page: list[Any], mapping: Mapping) -> Block:
    rejects: list[Reject] = []
    rows: list[int] = []
    texts: list[dict[str, str | None]] = []
    for row, record in enumerate(page, 1):
        try:
            made = _texts(record, mapping)
        except ValueError as error:
            rejects.append(Reject(row, str(error), ""))
        else:
            rows.append(row)
            texts.append(made)
    columns: dict[str, Any] = {
        name: pa.array([made[name] for made in texts], pa.string()) for name in sorted(mapping.columns)
    }
    text: Callable[[int], str] = lambda n: _json(page[rows[n] - 1])[:_SHOWN_TEXT].decode()  # noqa: E731
    return Block(pa.table(columns), np.array(rows, np.int64), rejects, text, Position(0, 1), len(page), 0)


def _texts(record: Any, mapping: Mapping) -> dict[str, str | None]:
    """The mapping's columns of a record, as a CSV file would have them. Raises ValueError with what is wrong."""
    if not isinstance(record, dict):
        raise ValueError(f"a record must be an object, but is {record!r:.80}")
    return {name: _text(name, value_at(record, name)) for name in mapping.columns}


def _text(name: str, value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict | list):
        raise ValueError(f"the column {name} must be a number, a text, true, false or null, but is {value!r:.80}")
    text = str(value)
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        text = str(int(value))
    if not is_text(text):
        raise ValueError(f"the column {name} must be text in UTF-8, but is {text!r:.80}")
    return text


def _identity_of(record: Any, mapping: Mapping) -> str:
    """By what the mapping reads of it, so that what else changes (when it was fetched) makes no other record of it."""
    read = {name: value_at(record, name) for name in sorted(mapping.columns)} if isinstance(record, dict) else record
    return _digest(_json(read))


def _digest(content: bytes) -> str:
    return blake2b(content, digest_size=12).hexdigest()


def _json(record: Any) -> bytes:
    return json.dumps(record, separators=(",", ":")).encode()
