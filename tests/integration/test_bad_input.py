"""Messages that are no transactions, among 10,000 good ones: each ends as a score or as a dead letter, and none is lost."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from detection.message_parsing import parse
from settings import Settings
from tests.integration.traffic import Message, messages, scores, send, traffic
from tests.support.kafka import read_topic

GOOD = {
    "transaction_id": "B",
    "event_time": "2026-03-02T08:00:00.000Z",
    "customer_id": "bad",
    "amount": 5.0,
    "channel": "chip",
}


def altered(**fields: Any) -> bytes:
    return msgspec.json.encode({name: value for name, value in (GOOD | fields).items() if value is not ...})


TEXT = altered()
INVALID: dict[str, tuple[bytes | None, str]] = {
    "not JSON": (b"hello", "not JSON"),
    "a truncated object": (TEXT[:-9], "truncated"),
    "a number for a string": (altered(customer_id=5), "Expected `str`, got `int` in the field `customer_id`"),
    "a string for a number": (altered(amount="5"), "Expected `float`, got `str` in the field `amount`"),
    "a negative amount": (altered(amount=-1), "`float` >= 0.0 in the field `amount`"),
    "NaN": (TEXT.replace(b"5.0", b"NaN"), "not JSON"),
    "1e400": (TEXT.replace(b"5.0", b"1e400"), "out of range in the field `amount`"),
    "no customer": (altered(customer_id=...), "missing required field `customer_id`"),
    "a null customer": (altered(customer_id=None), "got `null` in the field `customer_id`"),
    "an empty customer": (altered(customer_id=""), "length >= 1 in the field `customer_id`"),
    "an unparsable time": (altered(event_time="yesterday"), "datetime in the field `event_time`"),
    "a time without zone": (altered(event_time="2026-03-02T08:00:00"), "timezone component in the field `event_time`"),
    "a time 10 years away": (altered(event_time="2036-12-01T00:00:00Z"), "h ahead of the record's Kafka timestamp"),
    "5 MB": (altered(note="x" * 5_000_000), "bytes; a transaction has at most 65,536"),
    "an empty value": (b"", "the value is empty"),
    "a null value": (None, "a tombstone"),
    "not UTF-8": (altered(transaction_id="B?").replace(b"B?", b"B\xff"), "not UTF-8"),
    "an array": (b"[" + TEXT + b"]", "Expected `object`, got `array`"),
    "text after the object": (TEXT + b" x", "trailing characters"),
    "two objects": (TEXT + TEXT, "trailing characters"),
    "a repeated field": (TEXT.replace(b"{", b'{"amount":7,'), "the field 'amount' stands in the object more than once"),
    "a repeated customer": (TEXT.replace(b"{", b'{"customer_id":"C00001",'), "'customer_id' stands in the object more"),
    "a repeated field in disguise": (
        TEXT.replace(b"{", b'{"\\u0061mount":7,'),
        "'amount' stands in the object more than once",
    ),
}
VALID: dict[str, tuple[bytes | None, bytes]] = {
    "a missing key": (None, altered(transaction_id="V1", customer_id="C00007")),
    "a key that contradicts customer_id": (b"C00001", altered(transaction_id="V2", customer_id="C00002")),
    "an integer amount": (b"bad", altered(transaction_id="V3", amount=7)),
    "an amount of zero": (b"bad", altered(transaction_id="V4", amount=0)),
    "an enormous amount": (b"bad", altered(transaction_id="V5", amount=1.7e308)),
    "unknown fields": (b"bad", altered(transaction_id="V6", extra={"customer_id": "C00003", "amount": "x"})),
    "another zone": (b"bad", altered(transaction_id="V7", event_time="2026-03-02T10:00:00.000+02:00")),
    "a time long past": (b"bad", altered(transaction_id="V8", event_time="1999-01-01T00:00:00Z")),
    "spaces and line breaks": (
        b"bad",
        b'{ "transaction_id" : "V9",\n "event_time": "2026-03-02T08:00:00Z",\n "customer_id" : "bad", "amount": 3 }',
    ),
    "escaped characters": (b"bad", altered(transaction_id="V10").replace(b'"bad"', b'"b\\u0061d"')),
}


def wanted(value: bytes) -> dict[str, Any]:
    """The transaction that a score must carry, as JSON objects compare."""
    return dict(msgspec.to_builtins(parse(value)))


@pytest.mark.timeout(400)
def test_every_message_ends_as_a_score_or_as_a_dead_letter(settings: Settings, detect_all: Callable[..., None]) -> None:
    good = messages(traffic(10_000, customers=500, seed=11))
    duplicate = good[-1]
    bad: list[Message] = [(b"bad", value) for value, _ in INVALID.values()]
    odd: list[Message] = list(VALID.values())
    sent = list(good)
    for k, message in enumerate([*bad, *odd]):
        sent.insert(137 * (k + 1), message)
    send(settings, [*sent, duplicate])
    there = {
        (r.partition, r.offset): r for r in read_topic(settings.kafka_bootstrap_servers, settings.transactions_topic)
    }
    assert len(there) == len(sent) + 1
    assert max(len(record.value or b"") for record in there.values()) > 5_000_000

    detect_all(settings.model_copy(update={"max_offsets_per_trigger": 6_000}))

    found = scores(settings)
    dead = read_topic(settings.kafka_bootstrap_servers, settings.invalid_topic)
    headers = [{name: value.decode() for name, value in record.headers} for record in dead]
    places = [(int(header["partition"]), int(header["offset"])) for header in headers]
    assert len(set(places)) == len(places) == len(INVALID) + 1
    assert set(found).isdisjoint(places)
    assert set(found) | set(places) == set(there)

    reasons: dict[bytes | None, str] = {}
    for place, record, header in zip(places, dead, headers, strict=True):
        assert (record.key, record.value) == (there[place].key, there[place].value)
        assert header["topic"] == settings.transactions_topic
        assert int(header["kafka_time"]) == there[place].timestamp
        reasons[record.value] = header["reason"]
    for name, (value, reason) in INVALID.items():
        assert reason in reasons[value], name
    first = next(place for place, record in there.items() if record.value == duplicate[1] and place in found)
    assert reasons[duplicate[1]].endswith("is a duplicate of {}/{}".format(*first))

    by_id = {score["transaction_id"]: score for score in found.values()}
    for name, (key, value) in VALID.items():
        transaction = wanted(value)
        score = by_id[transaction["transaction_id"]]
        assert {field: score[field] for field in transaction} == transaction, name
        assert score["key_mismatch"] == (key != transaction["customer_id"].encode()), name
    for _, value in good:
        transaction = wanted(value or b"")
        assert {field: by_id[transaction["transaction_id"]][field] for field in transaction} == transaction
