"""What a request says besides its transactions: how long it waits, its trace, how many there are."""

import re
from typing import Final
from urllib.parse import parse_qs

import msgspec

from serving.answers import Refused
from serving.http import RequestRefused, Scope, header

MOST_IN_A_BATCH: Final = 1_000
_TRACE: Final = re.compile("[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_raw_list: Final = msgspec.json.Decoder(list[msgspec.Raw])


class Limits(msgspec.Struct, frozen=True):
    """What a request may be and how long it waits. timeout_ms: where it names none."""

    request_bytes: int = 4 << 20
    transaction_bytes: int = 65_536
    timeout_ms: float = 1_000.0
    longest_timeout_ms: float = 60_000.0


def timeout_of(scope: Scope, limits: Limits) -> float:
    """How long a request waits, ms: what it names, else the setting. Raises `RequestRefused`."""
    query = scope.get("query_string") or b""
    if not query:
        return limits.timeout_ms
    given = parse_qs(query.decode("latin-1")).get("timeout_ms", [""])[-1]
    if not given:
        return limits.timeout_ms
    try:
        timeout_ms = float(given)
    except ValueError:
        timeout_ms = -1.0
    if not 1 <= timeout_ms <= limits.longest_timeout_ms:
        most = limits.longest_timeout_ms
        raise RequestRefused(
            Refused("wrong parameter", 422, f"timeout_ms is a number from 1 to {most:g}, not {given!r}", "timeout_ms")
        )
    return timeout_ms


def batch_of(body: bytes) -> list[bytes]:
    """The transactions of an array, each as JSON. Raises `RequestRefused`."""
    try:
        values = _raw_list.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RequestRefused(
            Refused("not a batch", 422, f"the body is no JSON array of transactions: {error}")
        ) from error
    if not 1 <= len(values) <= MOST_IN_A_BATCH:
        detail = f"a batch has 1 to {MOST_IN_A_BATCH:,} transactions, this one {len(values):,}"
        raise RequestRefused(Refused("not a batch", 422, detail))
    return [bytes(value) for value in values]


def trace_of(scope: Scope) -> str | None:
    """The W3C trace context that came, where it is one."""
    given = header(scope, b"traceparent")
    text = None if given is None else given.decode("latin-1")
    return text if text is not None and _TRACE.fullmatch(text) else None
