"""Hostile messages, as a live system meets them: each kind is made from a valid one, at random."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from ml.schema import Transaction
from torture.traffic import Message, message

Rng = np.random.Generator
Maker = Callable[[Transaction, Rng], list[Message]]

_encode: Final = msgspec.json.Encoder().encode


def altered(good: Transaction, **fields: Any) -> bytes:
    """The transaction's JSON with other fields; `...` leaves one out."""
    object_ = msgspec.to_builtins(good) | fields
    return _encode({name: value for name, value in object_.items() if value is not ...})


def _inserted(good: Transaction, extra: bytes) -> list[Message]:
    """With another field before all others."""
    key, value = message(good)
    return [(key, b"{" + extra + b"," + (value or b"")[1:])]


def _malformed(good: Transaction, rng: Rng) -> list[Message]:
    key, value = message(good)
    whole = value or b""
    choices: list[bytes | None] = [
        b"hello",
        whole[: int(rng.integers(1, len(whole)))],
        b"[" + whole + b"]",
        whole + whole,
        whole + b" x",
        b"",
        b"null",
        b"\xff\xfe" + whole,
        b"[" * 2_000,
        b'{"a":' * 2_000,
        whole.replace(b'"amount":', b'"amount":-'),
        whole.replace(b'"amount":', b'"amount":1e999,"x":'),
        whole.replace(b'"amount":', b'"amount":NaN,"x":'),
        altered(good, amount="5"),
        altered(good, amount=True),
        altered(good, customer_id=...),
        altered(good, customer_id=None),
        altered(good, customer_id=""),
        altered(good, customer_id=17),
        altered(good, customer_id="c" * 300),
        altered(good, event_time="yesterday"),
        altered(good, event_time="2026-03-02T08:00:00"),
        altered(good, event_time="0001-01-01T00:00:00+14:00"),
        altered(good, event_time=5),
        altered(good, country="France"),
        altered(good, latitude=91),
        altered(good, transaction_id="t\x00").replace(b"\\u0000", b"\x00"),
        whole.replace(b"{", b'{"amount":7,', 1),
        whole.replace(b"{", b'{"\\u0061mount":7,', 1),
        whole.replace(b"{", b'{"customer_id":"C00001",', 1),
        whole.replace(b'"customer_id":"', b'"customer_id":"\\ud800'),
    ]
    return [(key, choices[int(rng.integers(len(choices)))])]


def _bit_flips(good: Transaction, rng: Rng) -> list[Message]:
    key, value = message(good)
    flipped = bytearray(value or b"")
    for _ in range(int(rng.integers(1, 4))):
        flipped[int(rng.integers(len(flipped)))] ^= 1 << int(rng.integers(8))
    return [(key, bytes(flipped))]


def _poison(good: Transaction, rng: Rng) -> list[Message]:
    """Ignored fields can be wrong in ways that only another parser notices."""
    choices = [
        b'"n":"caf\xe9","m":"a\\\\nb"',
        b'"n":' + b"9" * 5_000 + b',"m":"a\\nb"',
        b'"n":-' + b"1" * 5_000,
        b'"n":1e400,"m":"\\\\"',
        b'"n":"\\ud800","m":"\\\\"',
        b'"n":' + b"[" * 900 + b"]" * 900 + b',"m":"\\\\"',
        b'"n":' + b'{"a":' * 900 + b"1" + b"}" * 900 + b',"m":"\\\\"',
        b'"' + b"n" * 3_000 + b'":1,"m":"\\\\"',
        b'"n":NaN,"m":"\\\\"',
        b'"n":{"customer_id":"C00001"},"m":"\\\\"',
    ]
    return _inserted(good, choices[int(rng.integers(len(choices)))])


def _odd_but_valid(good: Transaction, rng: Rng) -> list[Message]:
    key, value = message(good)
    choices = [
        altered(good, amount=0),
        altered(good, amount=1.7e308),
        altered(good, amount=5e-324),
        altered(good, extra={"customer_id": "C00003", "amount": "x"}, nothing=None),
        altered(good, event_time="1999-01-01T00:00:00Z"),
        altered(good, event_time="1969-12-31T23:59:59.999Z"),
        b" \n" + (value or b"").replace(b",", b" ,\n\t").replace(b'":', b'" : '),
        (value or b"").replace(b'"customer_id":"C', b'"customer_id":"\\u0043'),
        altered(good, merchant_id="", channel="", device_id=""),
        altered(good, merchant_category="a,b=c d\\", channel="café \n"),
    ]
    return [(key, choices[int(rng.integers(len(choices)))])]


def _wrong_key(good: Transaction, rng: Rng) -> list[Message]:
    key, value = message(good)
    keys = [None, b"", b"C00001", b'C0"0001', b"\xff\x00", (key or b"") + b" ", (key or b"")[:-1], b"k" * 2_000]
    return [(keys[int(rng.integers(len(keys)))], value)]


def _strange_customer(good: Transaction, rng: Rng) -> list[Message]:
    names = [
        'q"uote',
        "back\\slash",
        "tab\there",
        "line\nbreak",
        "nul\x00",
        "é\u0301𝄞",
        " ",
        "null",
        '{"customer_id":"x"}',
    ]
    name = names[int(rng.integers(len(names)))]
    return [(name.encode(), altered(good, customer_id=name))]


def _tombstone(good: Transaction, rng: Rng) -> list[Message]:  # noqa: ARG001
    return [(good.customer_id.encode(), None)]


def _repeated(good: Transaction, rng: Rng) -> list[Message]:
    """The same transaction several times, one of them with another amount."""
    other = good.customer_id.encode(), altered(good, amount=1.0)
    return [message(good), message(good), other][: int(rng.integers(2, 4))]


def _too_early(good: Transaction, rng: Rng) -> list[Message]:
    ahead = timedelta(hours=float(rng.choice([23.9, 24.1, 1_000, 80_000])))
    return [(good.customer_id.encode(), altered(good, event_time=(good.event_time + ahead).isoformat()))]


def _flood_of_the_past(good: Transaction, rng: Rng) -> list[Message]:
    """Back-dated and early payments between ordinary ones, to push these out of the windows."""
    out: list[Message] = []
    for k in range(int(rng.integers(3, 25))):
        moved = good.event_time + timedelta(hours=float(rng.choice([-720, -24, -1, 0, 23.9])))
        out.append(
            (good.customer_id.encode(), altered(good, transaction_id=f"{good.transaction_id}-{k}", event_time=moved))
        )
    return out


def _large(good: Transaction, rng: Rng) -> list[Message]:
    """Around the limit of a transaction's size, and far above it."""
    size = int(rng.choice([60_000, 65_000, 65_536, 70_000, 300_000]))
    return [(good.customer_id.encode(), altered(good, note="x" * size))]


def _huge_and_compressible(good: Transaction, rng: Rng) -> list[Message]:
    """What the broker takes because it is small when compressed: its dead letter fits nowhere."""
    size = int(rng.choice([2 << 20, 9 << 20, 20 << 20]))
    value = altered(good, note="x" * size) if rng.random() < 0.5 else bytes(size)
    key = b"k" * (1 << 20) if rng.random() < 0.2 else good.customer_id.encode()
    return [(key, value)]


def _from_corpus(folder: Path) -> Maker | None:
    """What fuzzing has found, where there is such a folder."""
    found = [path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()] if folder.exists() else []
    if not found:
        return None

    def draw(good: Transaction, rng: Rng) -> list[Message]:
        return [(good.customer_id.encode(), found[int(rng.integers(len(found)))])]

    return draw


RARE: Final[dict[str, Maker]] = {"huge and compressible": _huge_and_compressible}
"""Kinds that are sent once in a while and not by share: each takes megabytes."""


def kinds(corpus: Path) -> dict[str, Maker]:
    """All other kinds by name."""
    found: dict[str, Maker] = {
        "malformed": _malformed,
        "bits flipped": _bit_flips,
        "poison": _poison,
        "odd but valid": _odd_but_valid,
        "wrong key": _wrong_key,
        "strange customer": _strange_customer,
        "tombstone": _tombstone,
        "repeated": _repeated,
        "too early": _too_early,
        "flood of the past": _flood_of_the_past,
        "large": _large,
    }
    fuzzed = _from_corpus(corpus)
    return found if fuzzed is None else found | {"from the fuzzing corpus": fuzzed}
