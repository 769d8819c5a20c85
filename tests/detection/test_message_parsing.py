"""What counts as a transaction: quick and slow look for repeated fields agree, and what is read is what was sent."""

import json
import time
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detection.json_structure import Names
from detection.json_structure import depth as depth_of_text
from detection.message_parsing import DEEPEST, Invalid, parse, too_early
from ml.features.events import events, events_from_arrow, milliseconds
from ml.schema import TRANSACTION_ARROW, TRANSACTION_FIELDS, Transaction
from ml.segments import segment_ids_of

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


GOOD = b'{"transaction_id":"T1","event_time":"2026-03-02T08:00:00Z","customer_id":"C1","amount":5}'
ESCAPE = b',"m":"a\\nb"'
REFUSED = {
    "a Latin-1 byte in a field that is ignored": b',"n":"caf\xe9"',
    "a Latin-1 byte in a name that is ignored": b',"caf\xe9":1',
    "an overlong form": b',"n":"\xc0\xaf"',
    "a surrogate as UTF-8 would never write it": b',"n":"\xed\xa0\x80"',
    "a lone surrogate": b',"n":"\\ud800","o":"and more text"',
    "a lone surrogate as a name": b',"\\udc00 and more text":1',
    "arrays 5,000 deep": b',"n":' + 5_000 * b"[" + 5_000 * b"]",
    "objects 5,000 deep": b',"n":' + 5_000 * b'{"a":' + b"1" + 5_000 * b"}",
    "arrays deeper by one than may be": b',"n":' + DEEPEST * b"[" + DEEPEST * b"]",
    "brackets that are never closed": b',"n":' + 60_000 * b"[",
    "an escaped name that comes twice": b',"\\u0061mount":7',
    "half an escape": b',"n":"\\u12"',
    "a control character": b',"n":"a\x00b"',
}
SCORED = {
    "an integer of 5,000 digits": b',"n":' + 5_000 * b"9",
    "a fraction of 5,000 digits": b',"n":0.' + 5_000 * b"1",
    "an enormous exponent": b',"n":1e999999999999',
    "arrays as deep as they may be": b',"n":' + (DEEPEST - 1) * b"[" + (DEEPEST - 1) * b"]",
    "a thousand arrays side by side": b',"n":[' + 999 * b"[]," + b"[]]",
    "brackets in a text": b',"n":"' + 30_000 * b"[{" + b'"',
    "a field that is ignored twice": b',"n":1,"n":2',
    "a name as long as the message may be": b',"' + 60_000 * b"n" + b'":1',
    "an escaped NUL": b',"n":"\\u0000"',
    "an escaped name of a field, further in": b',"n":{"\\u0061mount":7}',
    "quotation marks in a text": b',"n":"' + 20_000 * b'\\"' + b'"',
}


@pytest.mark.parametrize("beside", [b"", ESCAPE])
@pytest.mark.parametrize("fragment", REFUSED.values(), ids=REFUSED.keys())
def test_what_stands_in_a_field_that_is_ignored_must_be_utf_8_and_json_of_a_sane_depth(
    fragment: bytes, beside: bytes
) -> None:
    for value in (GOOD[:-1] + fragment + beside + b"}", GOOD[:-1] + beside + fragment + b"}"):
        with pytest.raises(Invalid, match=r"not UTF-8|not JSON|levels deep|more than once"):
            parse(value)


@pytest.mark.parametrize("levels", [DEEPEST, 500, 5_000, 60_000])
def test_what_is_nested_too_deep_has_this_reason_where_it_is_no_json_either(levels: int) -> None:
    for end in (b"", b"x", b"\xff"):
        with pytest.raises(Invalid, match="levels deep"):
            parse(GOOD[:-1] + b',"n":' + levels * b"[" + end)


@pytest.mark.parametrize("beside", [b"", ESCAPE])
@pytest.mark.parametrize("fragment", SCORED.values(), ids=SCORED.keys())
def test_what_stands_in_a_field_that_is_ignored_may_be_of_any_size(fragment: bytes, beside: bytes) -> None:
    assert parse(GOOD[:-1] + fragment + beside + b"}") == parse(GOOD)


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


def test_long_texts_that_never_come_again_are_not_kept() -> None:
    def piece(number: int) -> int:
        texts = [f"{number}-{row}-" + "x" * 60_000 for row in range(20)]
        sent = [Transaction(f"t{row}", datetime(2026, 5, 1, tzinfo=UTC), "c", 1.0) for row in range(20)]
        for transaction, text in zip(sent, texts, strict=True):
            transaction.merchant_id = transaction.merchant_category = transaction.channel = text
        segment_ids_of([(t.channel, t.merchant_category) for t in sent])
        return len(events(sent, np.arange(20)))

    piece(0)
    tracemalloc.start()
    try:
        assert sum(piece(number) for number in range(1, 11)) == 200
        assert tracemalloc.get_traced_memory()[0] < 1_000_000
    finally:
        tracemalloc.stop()


TRAPS = [
    *('"amount"', '"\\u0061mount"', '"\\u0061mOunt"', '"amount\\""', '"\\\\"', '"\\\\\\""', '"\\"amount"', '"x"', '""'),
    *(
        '"customer\\u005Fid"',
        '"customer\\u005fid"',
        '"\\\\amount"',
        '"[{"',
        '"}]\\""',
        '"a:\\"amount\\":"',
        '"\u2028amount"',
    ),
]
traps = st.sampled_from(TRAPS)
spaces = st.sampled_from(["", " ", "\n\t"])


def objects(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    member = st.tuples(spaces, traps, spaces, inner).map(lambda m: f"{m[0]}{m[1]}{m[2]}:{m[2]}{m[3]}{m[0]}")
    return st.lists(member, max_size=5).map(lambda members: "{" + ",".join(members) + "}")


nested = st.recursive(
    traps | st.sampled_from(["1", "null"]),
    lambda inner: objects(inner) | st.lists(inner, max_size=4).map(lambda items: "[" + ",".join(items) + "]"),
    max_leaves=12,
)


def depth(value: object) -> int:
    """Of what `json` makes of a text, objects being lists of pairs."""
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0


@settings(deadline=None, max_examples=1_000)
@given(objects(nested))
def test_names_that_come_twice_and_the_depth_are_what_another_parser_finds(text: str) -> None:
    names = [name for name, _ in json.loads(text, object_pairs_hook=list)]
    repeated = [name for name in TRANSACTION_FIELDS if names.count(name) > 1]
    assert Names(TRANSACTION_FIELDS).repeated(text.encode()) == repeated
    as_lists = json.loads(text, object_pairs_hook=lambda pairs: [value for _, value in pairs])
    assert depth_of_text(text.encode()) == depth(as_lists)


@pytest.mark.parametrize(
    ("more", "most"),
    [
        (lambda n: b',"n":[' + n * b"[]," + b"0]", 20_000),
        (lambda n: b"".join(b',"\\u0061%d":0' % (1_000 + k) for k in range(n)), 4_000),
        (lambda n: b',"n":[' + n * b'{"amount":1},' + b"0]", 4_000),
        (lambda n: b',"n":"' + n * b'\\"' + b'"', 30_000),
    ],
    ids=["brackets", "escaped names", "names further in", "escaped quotation marks"],
)
def test_no_message_of_64_kb_takes_long(more: Callable[[int], bytes], most: int) -> None:
    """The time grows with the length, and not with its square: a message of twice the length takes some twice the time."""
    half, whole = (GOOD[:-1] + more(count) + b"}" for count in (most // 2, most))
    assert len(half) < len(whole) < 65_536
    assert least_seconds(whole) < 3 * least_seconds(half)


def least_seconds(value: bytes) -> float:
    """CPU time of the fastest of 50 parsings: what else runs on the machine only adds to it."""
    parse(value)
    found = []
    for _ in range(50):
        begin = time.process_time()
        parse(value)
        found.append(time.process_time() - begin)
    return min(found)
