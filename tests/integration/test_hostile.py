"""Hundreds of hostile messages between ordinary ones: each ends as one score or one dead letter, as the reference says."""

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, Final, NamedTuple

import msgspec
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from detection.message_parsing import Invalid, parse
from jobs import detect
from jobs.customer_fold import CustomerFold
from ml.model import Model
from ml.schema import TRANSACTION_FIELDS
from settings import Settings
from tests.integration.test_dead_letters import dead_letters
from tests.integration.traffic import START, Message, Place, judged, judgement, messages, scores, traffic
from tests.support.kafka import read_topic

COMPRESSIONS: Final = ("none", "gzip", "snappy", "lz4", "zstd")
CUSTOMERS: Final = (
    *("C00001", "C00001 ", " C00001", "C00001\n", "c00001", "\ufeffC00001", "C00001\u200b", "C00001\x00"),
    *(
        "\u00e9",
        "e\u0301",
        "\u05e9\u05dc\u05d5\u05dd",
        "\u202eabc",
        "\x00",
        "a\x00b",
        "\x7f",
        "\x85",
        "\u2028",
        "\u2029",
    ),
    *("\uffff", "\U0010ffff", "\U0001f600", "\U0001f468\u200d\U0001f469", "\u0130", "\u00df", "\ufb00", "ss"),
    *("x" * 256, "\U0001f600" * 256, "\u0001" * 256, '"' * 256, "\\" * 256),
    *('{"customer_id":"x"}', '"customer_id":"C00001"', "customer_id", "[1]", "null", "5", "-1", "true", "{}", ",", ":"),
    *(
        "\\",
        "\\u0041",
        "\\\\u0063ustomer_id",
        '"',
        'a"b',
        "'",
        "%s",
        "../../etc/passwd",
        "a=b,c d",
        "$.customer_id",
        "\t",
    ),
)
"""Who is hostile by name; the first one is an ordinary customer too."""

NUMBERS: Final = (
    *("-0.0", "-0", "0e0", "1e-400", "1e-308", "5e-324", "1e308", "1.7976931348623157e308", "1.7976931348623159e308"),
    *("9" * 300, "9" * 400, "0." + "0" * 5_000 + "1", "1" + "0" * 5_000 + "e-5000", "1." + "3" * 5_000, "1e+2", "1E2"),
    *(
        "+5",
        "05",
        ".5",
        "5.",
        "0x5",
        "Infinity",
        "-Infinity",
        "NaN",
        "true",
        "null",
        "[5]",
        "{}",
        '"5"',
        "1_000",
        "1,0",
    ),
    *("-5e-324", "9007199254740993", "18446744073709551616", "-18446744073709551617", "3.4028236e38", "1e39"),
)
TIMES: Final = (
    *("2026-03-02T08:00:60Z", "2026-03-02t08:00:00z", "2026-03-02 08:00:00Z", "20260302T080000Z"),
    *("2026-03-02T08:00:00.123456789Z", "2026-03-02T08:00:00.999999999999999999Z", "2026-03-02T08:00:00-00:00"),
    *("2026-03-02T08:00:00+23:59", "2026-03-02T08:00:00+24:00", "0000-01-01T00:00:00Z", "9999-12-31T23:59:59Z"),
    *("9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+23:59", "2026-02-30T00:00:00Z"),
    *("2026-03-02T24:00:00Z", "1970-01-01T00:00:00Z", "1969-12-31T23:59:59.999Z", "2026-03-02", "1772438400"),
    *(
        "2026-03-02T08:00Z",
        "2026-03-02T08:00:00.Z",
        "\u0662026-03-02T08:00:00Z",
        "2026-03-02T08:00:00Z ",
        "-2026-03-02",
    ),
)
PLACES: Final = (
    *('"latitude":90,"longitude":180', '"latitude":-90,"longitude":-180', '"latitude":90.00000000000001'),
    *('"latitude":1e-400,"longitude":-0.0', '"latitude":48.8', '"longitude":1e2', '"latitude":90,"longitude":-180.0'),
    *('"country":"\u00c9\u00c9"', '"country":"\U0001f1eb\U0001f1f7"', '"country":"F"', '"country":"\\u0000\\u0000"'),
    *('"channel":"chip\\u0000"', '"channel":"' + "c" * 60_000 + '"', '"merchant_id":"' + "\u2028" * 20_000 + '"'),
    *('"merchant_category":"' + "\\u0001" * 10_000 + '"', '"device_id":""', '"device_id":"\\u0000"', '"currency":[]'),
    *('"merchant_id":"' + "\\/" * 20_000 + '"', '"currency":"' + "\x7f" * 100 + '"', '"device_id":{"a":1}'),
)


def text(fields: dict[str, Any]) -> str:
    return json.dumps(fields, ensure_ascii=False)


def fields_of(customer: str, number: int) -> dict[str, Any]:
    return {
        "transaction_id": f"H{number}",
        "event_time": (START + timedelta(minutes=7 * number)).isoformat(),
        "customer_id": customer,
        "amount": float(number % 17 + 1),
        "merchant_id": f"M{number % 3}",
        "country": "FR",
    }


def spelled(word: str, pick: Callable[[], bool]) -> str:
    """A JSON text in which some characters are written as escapes, in either case."""
    out = []
    for unit in range(0, len(units := word.encode("utf-16-be", "surrogatepass")), 2):
        code = int.from_bytes(units[unit : unit + 2], "big")
        plain = 0x20 <= code < 0xD800 and chr(code) not in '"\\'
        escaped = f"\\u{code:04X}" if code % 2 else f"\\u{code:04x}"
        out.append(chr(code) if plain and pick() else escaped)
    return '"' + "".join(out) + '"'


def form(fields: dict[str, Any], rng: random.Random) -> bytes:
    """A transaction written in one of very many ways."""
    names, share = list(fields), rng.choice([1.0, 1.0, 0.9, 0.0])
    rng.shuffle(names)

    def pick() -> bool:
        return rng.random() < share

    gap = rng.choice(["", "", " ", "\n\t\r ", " " * 3_000])
    members = []
    for name in names:
        value = fields[name]
        members.append(
            f"{spelled(name, pick)}{gap}:{gap}{spelled(value, pick) if isinstance(value, str) else text(value)}"
        )
    for _ in range(rng.choice([0, 1, 1, 2, 3])):
        members.insert(rng.randrange(len(members) + 1), rng.choice(BESIDE))
    return (gap + "{" + f"{gap},{gap}".join(members) + "}" + gap).encode()


BESIDE: Final = (
    '"inner":{"customer_id":"C00002"}',
    '"inner":[{"customer_id":"C00002"},{"customer_id":"C00003"}]',
    '"a":{"b":{"c":{"\\u0063ustomer_id":"C00002"}}}',
    '"n":' + "9" * 5_000,
    '"n":-0.' + "7" * 5_000 + "E-99999",
    '"' + "n" * 60_000 + '":0',
    '"' + "\\u0063" * 10_000 + '":0',
    '"\\"customer_id\\":\\"C00002\\"":0',
    '"customer_id ":"C00002"',
    '"customer_i\\u0064\\u0000":"C00002"',
    '"Customer_id":"C00002"',
    '"customer\\u200b_id":"C00002"',
    '"x":"customer_id"',
    '"customer_id\\"":"C00002"',
    '"note":"\\\\\\"customer_id\\\\\\":\\\\\\"C00002\\\\\\""',
    '"note":"\\ud83d\\ude00\\u2028\u2028\U0001f600"',
    '"":"","":""',
)


def hostile_forms(rng: random.Random) -> Iterator[Message]:
    """Each hostile customer in eight forms, under as many keys."""
    number = 0
    for customer in CUSTOMERS:
        own = customer.encode()
        keys = (own, own, None, b"", b"\xff\xfe", b"C00001", own + b'"', b'"customer_id":"C00002"', b"\x00" * 2_000)
        for _ in range(8):
            number += 1
            yield rng.choice(keys), form(fields_of(customer, number), rng)


def hostile_values() -> Iterator[Message]:
    """What stands in one field, or about the whole."""
    base = text(fields_of("odd", 1))

    def numbered(kind: str) -> str:
        return base.replace('"H1"', json.dumps(kind))

    for k, number in enumerate(NUMBERS):
        yield b"odd", numbered(f"N{k}").replace('"amount": 2.0', f'"amount": {number}').encode()
    for k, when in enumerate(TIMES):
        yield b"odd", numbered(f"D{k}").replace(fields_of("odd", 1)["event_time"], when).encode()
    for k, more in enumerate(PLACES):
        yield b"odd", (numbered(f"P{k}").replace(', "country": "FR"', "")[:-1] + "," + more + "}").encode()
    for k, name in enumerate(TRANSACTION_FIELDS):
        whole = fields_of("odd", 1) | {"transaction_id": f"R{k}"}
        again = spelled(name, lambda: False)
        yield b"odd", (text(whole)[:-1] + f", {json.dumps(name)}: null, {again}: null}}").encode()
    yield from ((b"odd", value) for value in about_the_whole(numbered))
    for k, size in enumerate((256, 257, 60_000)):
        identifier = chr(0x1F600 + k) * size
        yield None, text(fields_of("odd", 1) | {"transaction_id": identifier}).encode()
        yield b"long", text(fields_of("o" * size, 1) | {"transaction_id": f"L{k}"}).encode()
    twice = text(fields_of("odd", 5) | {"transaction_id": "\U000e0001\u2028\x00'\"\\" * 30})
    yield from [(b"odd", twice.encode())] * 3


def about_the_whole(numbered: Callable[[str], str]) -> Iterator[bytes]:
    yield b"\xef\xbb\xbf" + numbered("W1").encode()
    for encoding in ("utf-16", "utf-16-le", "utf-32", "utf-7", "cp037"):
        yield numbered("W2").encode(encoding)
    yield numbered("W3").replace('"', "'").encode()
    yield (numbered("W4")[:-1] + ",}").encode()
    yield ("/* */" + numbered("W5")).encode()
    yield (numbered("W6") + "\x00").encode()
    yield ("\x1e" + numbered("W7") + "\n").encode()
    yield (numbered("W8") + "\n" * 60_000).encode()
    yield json.dumps(numbered("W9")).encode()
    yield ('{"payload": ' + numbered("W10") + "}").encode()
    yield b"\x00\x00\x00\x00\x01" + numbered("W11").encode()
    yield numbered("W12").encode().replace(b"FR", b"F\x00")
    yield numbered("W13").encode().replace(b"odd", b"\xed\xa0\xbd\xed\xb8\x80")
    yield numbered("W14").replace("odd", "\\ud83d").encode()
    yield numbered("W15").replace("odd", "\\ude00\\ud83d").encode()
    yield numbered("W16").replace("odd", "a\\u00").encode()
    yield numbered("W17").replace("odd", "a\\x41").encode()
    yield (numbered("W18")[:-1] + ',"x":' + "[" * 64 + "]" * 64 + "}").encode()
    yield (numbered("W19")[:-1] + ',"x":' + "[" * 63 + "]" * 63 + "}").encode()
    yield (numbered("W20")[:-1] + ',"x":"' + "[" * 900 + "\\" + '\\"}').encode()
    yield (numbered("W21")[:-1] + ',"x":"' + "{[" * 900 + "\\" + '\\"}').encode()
    yield b'"' * 65_530
    yield b'{"customer_id":' * 4_000
    yield b'{"customer_id":"C00001",' * 2_700
    yield b"\\" * 65_530
    yield b'"\\u0063ustomer_id"' * 3_000
    yield b'{"customer_id":"C00001"}'
    yield bytes(range(256))
    for size in (1, 65_533, 65_534, 65_536, 100_000, 900_000):
        yield bytes(size)
    for size in (65_532, 65_533, 65_534, 66_000):
        yield (numbered(f"S{size}")[:-1] + "}").encode().ljust(size)


def send_all(settings: Settings, sent: list[Message], rng: random.Random) -> None:
    """Each run of messages by another compression; some with headers of every kind."""
    failed: list[Any] = []
    producers = [
        Producer(
            {
                "bootstrap.servers": settings.kafka_bootstrap_servers,
                "partitioner": "murmur2_random",
                "compression.type": compression,
                "message.max.bytes": 100 << 20,
                "enable.idempotence": True,
            }
        )
        for compression in COMPRESSIONS
    ]
    headers: list[list[tuple[str, bytes | None]]] = [
        [],
        [],
        [("reason", b"mine"), ("partition", b"-1"), ("offset", None), ("topic", b"\xff")],
        [("", b""), ("", None), ("\U0001f600" * 50, b"x" * 2_000)],
        [(f"h{k % 7}", b"v") for k in range(10_000)],
    ]
    for start in range(0, len(sent), 50):
        producer = rng.choice(producers)
        for key, value in sent[start : start + 50]:
            producer.produce(
                settings.transactions_topic,
                value,
                key,
                headers=rng.choice(headers),
                on_delivery=lambda error, _: failed.append(error) if error else None,
            )
        producer.flush(60)
    assert not failed


class Sent(NamedTuple):
    """A record of the transactions topic."""

    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


def read_transactions(settings: Settings, count: int) -> dict[Place, Sent]:
    """The records by their place, however they are compressed."""
    consumer = Consumer({"bootstrap.servers": settings.kafka_bootstrap_servers, "group.id": "none"})
    consumer.assign([TopicPartition(settings.transactions_topic, partition, 0) for partition in range(4)])
    found: dict[Place, Sent] = {}
    while len(found) < count:
        records = consumer.consume(1_000, 30)
        assert records
        for r in records:
            place = r.partition(), r.offset()
            found[place] = Sent(*place, r.timestamp()[1], r.key(), r.value())
    consumer.close()
    return found


FAILING: Final = ("parse", "event", "fold", "score head", "segment")


class FailsForSome(CustomerFold):
    """In a worker, steps of ours that raise for a message whose transaction_id names them."""

    def handleInputRows(self, key: Any, rows: Any, timerValues: Any) -> Any:
        break_steps()
        return super().handleInputRows(key, rows, timerValues)


def break_steps() -> None:
    """Once in each process."""
    from detection import folding, intake

    if hasattr(intake, "broken"):
        return
    intake.broken = True  # type: ignore[attr-defined]

    def breaking(name: str, step: Any, found: Callable[[Any], Iterator[str]]) -> Any:
        def broken(first: Any, *others: Any) -> Any:
            if any(item.startswith(f"fails:{name}") for item in found(first)):
                raise Exception(b"\xff", "\ud800\n", name) if name != "parse" else KeyError("\udfff")
            return step(first, *others)

        return broken

    def of_value(value: Any) -> Iterator[str]:
        yield from (f"fails:{name}" for name in FAILING if value and f"fails:{name}".encode() in value)

    def of_transactions(some: Any) -> Iterator[str]:
        yield from (one.transaction_id for one in some)

    intake.parse = breaking("parse", intake.parse, of_value)
    intake.events = breaking("event", intake.events, of_transactions)
    folding.identify = breaking("fold", folding.identify, lambda ids: (i.replace("who:", "fails:") for i in ids))
    folding.heads = breaking("score head", folding.heads, of_transactions)
    folding.segment_ids_of = breaking("segment", folding.segment_ids_of, lambda some: (str(one[0]) for one in some))


def failing() -> list[Message]:
    """Messages that a step of ours is made to raise for, of ordinary customers where that is possible."""
    out: list[Message] = []
    for k in range(12):
        name = FAILING[k % len(FAILING)]
        fields = fields_of("C00003", 900 + k) | {"transaction_id": f"fails:{name}:{k}"}
        if name == "fold":
            fields["customer_id"] = f"who:fold{k}"
        if name == "segment":
            fields["channel"] = "fails:segment"
        out.append((b"C00003", text(fields).encode()))
    return out


def reason_of(value: bytes | None) -> str | None:
    """Why the parser refuses a message, if it does."""
    try:
        parse(value)
    except Invalid as error:
        return str(error)
    return None


@pytest.mark.long
@pytest.mark.timeout(600)
def test_each_hostile_message_is_one_score_or_one_dead_letter_and_its_neighbours_are_judged_as_without_it(
    settings: Settings, detect_all: Callable[..., None], models: list[Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detect, "CustomerFold", FailsForSome)
    rng = random.Random(12)
    ours = failing()
    hostile = [*hostile_forms(rng), *hostile_values(), *ours]
    sent = messages(traffic(2_000, customers=60, seed=31))
    for message in hostile:
        sent.insert(rng.randrange(len(sent)), message)
    send_all(settings, sent, rng)
    there = read_transactions(settings, len(sent))
    assert len(there) == len(sent)
    assert len(hostile) > 570

    detect_all(settings.model_copy(update={"state_partitions": 3}), **{"spark.sql.shuffle.partitions": "3"})

    found, dead = scores(settings), dead_letters(settings)
    assert set(found).isdisjoint(dead)
    assert set(found) | set(dead) == set(there)
    unfolded = {value for _, value in ours if not value or (b"head" not in value and b"segment" not in value)}
    of_ours = {value for _, value in ours}
    expected = judged([record for record in there.values() if record.value not in unfolded], models[0])
    expected = {place: wanted for place, wanted in expected.items() if there[place].value not in of_ours}
    assert set(found) == set(expected)
    assert {place: judgement(score) for place, score in found.items()} == expected
    for place, score in found.items():
        wanted = msgspec.to_builtins(parse(there[place].value))
        assert {name: score[name] for name in wanted} == wanted
        assert score["key_mismatch"] == (there[place].key != wanted["customer_id"].encode())
    for place, (record, headers) in dead.items():
        original = there[place]
        assert (record.key, record.value) == (original.key, original.value), headers
        wanted_headers = {"reason", "topic", "partition", "offset", "kafka_time"}
        assert set(headers) - {"folded"} == wanted_headers
        assert len(record.headers) == len(headers)
        assert headers["reason"]
        assert headers["topic"] == settings.transactions_topic
        assert int(headers["kafka_time"]) == original.timestamp
        if original.value in of_ours:
            assert "an error of Scoreline's own" in headers["reason"]
            assert headers.get("folded") == (None if original.value in unfolded else "true")
        elif len(original.key or b"") + len(original.value or b"") <= settings.max_transaction_bytes:
            assert "folded" not in headers
            assert reason_of(original.value) in (None, headers["reason"])
    for topic, wanted in (
        (settings.scores_topic, Counter(list(found))),
        (settings.alerts_topic, Counter(place for place, score in found.items() if score["is_anomaly"])),
    ):
        records = [msgspec.json.decode(r.value) for r in read_topic(settings.kafka_bootstrap_servers, topic)]
        assert Counter((r["partition"], r["offset"]) for r in records) == wanted
