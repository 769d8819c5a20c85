"""What counts as a transaction: quick and slow look for repeated fields agree, and what is read is what was sent."""

import json
from datetime import UTC, datetime, timedelta, timezone

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.parse import Invalid, events, events_from_arrow, milliseconds, parse, too_early
from ml.schema import TRANSACTION_ARROW, TRANSACTION_FIELDS, Transaction

texts = st.text(min_size=1, max_size=20).filter(lambda text: text.encode("utf-8", "ignore").decode() == text)
zones = st.integers(-12 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
times = st.datetimes(datetime(1980, 1, 1), datetime(2100, 1, 1), timezones=zones)
transactions = st.builds(
    Transaction,
    transaction_id=texts,
    event_time=times,
    customer_id=texts,
    amount=st.floats(0, 1e300),
    currency=st.none() | texts,
    merchant_id=st.none() | texts,
    country=st.none() | st.sampled_from(["FR", "DE"]),
    latitude=st.none() | st.floats(-90, 90),
    longitude=st.none() | st.floats(-180, 180),
    device_id=st.none() | texts,
)


@settings(deadline=None)
@given(transactions, st.booleans(), st.booleans())
def test_what_was_sent_is_read(sent: Transaction, ascii_only: bool, spaced: bool) -> None:
    fields = msgspec.to_builtins(sent)
    text = json.dumps(fields, ensure_ascii=ascii_only, separators=(", ", " : ") if spaced else (",", ":"))
    read = parse(text.encode())
    whole = sent.event_time.astimezone(UTC)
    assert read == msgspec.structs.replace(sent, event_time=whole.replace(microsecond=whole.microsecond // 1000 * 1000))


@settings(deadline=None)
@given(transactions, st.sampled_from(TRANSACTION_FIELDS), st.dictionaries(texts, texts, max_size=3), st.booleans())
def test_a_field_that_stands_twice_is_found(sent: Transaction, twice: str, extra: dict[str, str], first: bool) -> None:
    fields = msgspec.to_builtins(sent)
    body = json.dumps(fields | {k: v for k, v in extra.items() if k not in fields})
    again = f"{json.dumps(twice)}:{json.dumps(fields[twice])}"
    text = f"{{{again},{body[1:]}" if first else f"{body[:-1]},{again}}}"
    with pytest.raises(Invalid, match=f"'{twice}' stands in the object more than once"):
        parse(text.encode())


@settings(deadline=None)
@given(transactions, st.dictionaries(texts, st.dictionaries(st.sampled_from(TRANSACTION_FIELDS), texts), max_size=3))
def test_a_field_name_deeper_down_is_no_repetition(sent: Transaction, extra: dict[str, dict[str, str]]) -> None:
    fields = msgspec.to_builtins(sent)
    text = json.dumps(fields | {k: v for k, v in extra.items() if k not in fields})
    assert parse(text.encode()).transaction_id == sent.transaction_id


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_bytes_that_are_no_transaction_are_refused_with_a_reason(value: bytes) -> None:
    with pytest.raises(Invalid, match=r"\w"):
        parse(value)


@settings(deadline=None)
@given(st.lists(transactions, min_size=1, max_size=5))
def test_a_history_gives_the_same_events_as_messages(sent: list[Transaction]) -> None:
    parsed = [parse(msgspec.json.encode(t)) for t in sent]
    rows = [{name: getattr(t, name) for name in TRANSACTION_FIELDS} for t in parsed]
    from_history = events_from_arrow(pa.Table.from_pylist(rows, TRANSACTION_ARROW))
    assert from_history.tobytes() == events(parsed, np.full(len(parsed), -2)).tobytes()


def test_a_time_far_ahead_is_refused_and_any_past_is_not() -> None:
    now = datetime(2026, 5, 1, tzinfo=UTC)
    transaction = Transaction("t", now, "c", 1.0)
    hour = 3_600_000
    assert too_early(transaction, milliseconds(now) - 24 * hour, 24) is None
    assert too_early(transaction, milliseconds(now) + 10**15, 24) is None
    assert "48.0 h ahead" in (too_early(transaction, milliseconds(now) - 48 * hour, 24) or "")


@pytest.mark.parametrize(
    "text", ['"latitude":null,"latitude":5.0', '"latitude":5.0,"latitude":null', '"country":null,"country":null']
)
@pytest.mark.parametrize("spelled_out", [True, False])
def test_a_field_that_is_null_once_and_known_once_is_found(text: str, spelled_out: bool) -> None:
    fields = msgspec.to_builtins(Transaction("t", datetime(2026, 5, 1, tzinfo=UTC), "c", 1.0, merchant_category="fuel"))
    kept = {k: v for k, v in fields.items() if not text.startswith(f'"{k}"') and (spelled_out or v is not None)}
    with pytest.raises(Invalid, match="stands in the object more than once"):
        parse(f"{json.dumps(kept, separators=(',', ':'))[:-1]},{text}}}".encode())
