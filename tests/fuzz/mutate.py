"""Hostile messages made from valid ones: fields dropped, doubled, respelled and given odd values; bytes changed at random."""

import json
from collections.abc import Callable
from random import Random
from typing import Final

Fields = list[tuple[str, str]]
"""The fields of an object: the names, as text, and the values, as JSON."""

CUSTOMERS: Final = (
    '"C1"',
    '"C1"',
    '"C2"',
    '"C3"',
    '"\\u0043\\u0031"',
    '"\U0001f600"',
    '"c,{\\"}"',
    '"' + 256 * "é" + '"',
)
NUMBERS: Final = [
    "0",
    "-0",
    "-0.0",
    "1",
    "5e-324",
    "1e-400",
    "-1e-400",
    "1e12",
    "1e13",
    "1e308",
    "1.7976931348623157e308",
    "1e309",
    "1E400",
    "1e99999999999999999999",
    "0e999999999999",
    "9" * 400,
    "9" * 5000,
    "0." + "1" * 5000,
    "01",
    "1.",
    "+1",
    "NaN",
    "-Infinity",
    "18446744073709551616",
    "-1",
    "90",
    "90.00000000000001",
    "-180",
    "2.2250738585072011e-308",
]
TIMES: Final = [
    "0001-01-01T00:00:00Z",
    "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59.999999Z",
    "1969-12-31T23:59:59.9999Z",
    "2026-03-02T23:59:60Z",
    "2026-02-29T08:00:00Z",
    "2026-03-02 08:00:00z",
    "2026-03-02T08:00:00.1234567891Z",
    "2026-03-02T08:00:00",
    "2026-03-02T24:00:00Z",
    "2026-03-02T08:00:00-23:59",
    "1677-09-21T00:12:43Z",
    "0000-01-01T00:00:00Z",
]
TEXTS: Final = [
    '""',
    '"a\\nb"',
    '"\\u0000"',
    '"\\ud800"',
    '"\\ud83d\\ude00"',
    '"\u2028"',
    '"\\"\\\\\\/"',
    '"ÿ"',
    '"×"',
    '"online"',
    '"chip"',
    '"' + 3000 * "x" + '"',
    '"' + 257 * "i" + '"',
    '"' + 900 * '\\"' + '"',
    '"\x7f"',
    '"\x01"',
    '"\\q"',
    '"\\u12"',
    '"T1"',
]
OTHERS: Final = [
    "null",
    "true",
    "[]",
    "{}",
    '{"customer_id":"C2"}',
    '[{"amount":1}]',
    "[" * 70 + "]" * 70,
    "[" * 3000 + "]" * 3000,
    '{"a":' * 2000 + "1" + "}" * 2000,
    "[" * 5000,
    "[1,]",
    '{"a":1,}',
    '{"a"}',
    "\x00",
    "1 2",
    '{"a":1,"a":2}',
    "-",
]
NAMES: Final = [
    "note",
    "customer_id",
    "amount",
    "",
    "\\",
    '"',
    "café",
    "😀",
    "x" * 2000,
    "customer_id ",
    "AMOUNT",
    "\x00",
    "transaction_id",
    "event_time",
    "country",
    "latitude",
    "channel",
    "device_id",
    "merchant_category",
    "position",
]


def base(random: Random) -> Fields:
    """A valid transaction of one of few customers, so that states become old."""
    number = random.randrange(40)
    fields = [
        ("transaction_id", f'"T{number}"'),
        ("event_time", f'"2026-03-0{1 + random.randrange(9)}T0{random.randrange(10)}:{10 + number}:00.5Z"'),
        ("customer_id", random.choice(CUSTOMERS[:4])),
        ("amount", f"{random.randrange(1, 900)}.{random.randrange(100):02d}"),
        ("currency", '"EUR"'),
        ("merchant_id", f'"M{number % 7}"'),
        ("merchant_category", '"fuel"'),
        ("country", random.choice(['"FR"', '"BR"', "null"])),
        ("latitude", f"{random.uniform(-90, 90):.3f}"),
        ("longitude", f"{random.uniform(-180, 180):.3f}"),
        ("channel", random.choice(['"chip"', '"atm"', '"online"', '"carrier pigeon"'])),
        ("device_id", random.choice(['"D1"', "null", f'"D{number}"'])),
    ]
    return fields[: random.choice([4, 8, 12, 12])]


def hostile(random: Random) -> bytes:
    """A message that was valid, and may be so still."""
    return mutated(written(base(random), random), random)


def mutated(value: bytes, random: Random) -> bytes:
    """A message with one change or some: of its structure where it has any, at times of its bytes."""
    try:
        pairs = json.loads(value, object_pairs_hook=list, parse_int=str, parse_float=str)
        fields = [(str(name), json.dumps(item, ensure_ascii=False)) for name, item in pairs]
        fields = [(n, j.strip('"') if n in ("amount", "latitude", "longitude") else j) for n, j in fields]
    except (ValueError, TypeError, RecursionError):
        fields = base(random)
    for _ in range(random.choice([1, 1, 1, 2, 3])):
        random.choice(STRUCTURAL)(fields, random)
    out = written(fields, random)
    return _bytes_changed(out, random) if random.random() < 0.15 else out


def written(fields: Fields, random: Random) -> bytes:
    """The object's text, with the spaces and escapes that JSON leaves free."""
    colon = random.choice([":", ":", ":", ": ", " :\n", "\t:\r "])
    comma = random.choice([",", ",", ",", ", ", " ,\n"])
    respelled = random.random() < 0.1
    names = [
        _escaped(name, random) if respelled else json.dumps(name, ensure_ascii=random.random() < 0.5)
        for name, _ in fields
    ]
    text = "{" + comma.join(f"{name}{colon}{item}" for name, (_, item) in zip(names, fields, strict=True)) + "}"
    return text.encode("latin-1" if random.random() < 0.03 and text.isascii() is False else "utf-8", "ignore")


def _escaped(name: str, random: Random) -> str:
    return (
        '"'
        + "".join(
            f"\\u{ord(c):04x}" if random.random() < 0.3 and ord(c) < 65_536 else json.dumps(c)[1:-1] for c in name
        )
        + '"'
    )


def _odd_value(fields: Fields, random: Random) -> None:
    if fields:
        k = random.randrange(len(fields))
        name = fields[k][0]
        pool = {"event_time": [f'"{time}"' for time in TIMES], "customer_id": list(CUSTOMERS)}.get(name)
        if pool is None:
            pool = list(NUMBERS if name in ("amount", "latitude", "longitude") else TEXTS)
        fields[k] = (
            name,
            random.choice(pool) if random.random() < 0.85 else random.choice([*OTHERS, *NUMBERS, *TEXTS]),
        )


def _dropped(fields: Fields, random: Random) -> None:
    if fields:
        del fields[random.randrange(len(fields))]


def _doubled(fields: Fields, random: Random) -> None:
    if fields:
        fields.insert(random.randrange(len(fields) + 1), random.choice(fields))


def _added(fields: Fields, random: Random) -> None:
    name, item = random.choice(NAMES), random.choice(random.choice([OTHERS, NUMBERS, TEXTS]))
    fields.insert(random.randrange(len(fields) + 1), (name, item))


def _shuffled(fields: Fields, random: Random) -> None:
    random.shuffle(fields)


STRUCTURAL: Final[list[Callable[[Fields, Random], None]]] = [
    _odd_value, _odd_value, _odd_value, _odd_value, _added, _added, _added, _dropped, _doubled, _shuffled
]  # fmt: skip


def _bytes_changed(value: bytes, random: Random) -> bytes:
    at = random.randrange(len(value) + 1)
    cut = at + random.choice([0, 0, 1, 1, 2, len(value)])
    new = random.choice(
        [b"", b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\x00", b'"', b"\\", b"}", b"{", value[:50], b"\xef\xbb\xbf"]
    )
    return value[:at] + new + value[cut:]
