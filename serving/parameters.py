"""What a request says beside its transactions: its query, its trace context, and where one transaction of a batch ends."""

from typing import Final
from urllib.parse import parse_qs

import msgspec

from serving.answers import Refused
from serving.http import RequestRefused, Scope, header
from serving.intake import TRACE

MOST_IN_A_BATCH: Final = 1_000
_raw_list: Final = msgspec.json.Decoder(list[msgspec.Raw])


def parameter(scope: Scope, name: str) -> str | None:
    """A parameter of the query, the last of several; None where it is not there or empty."""
    query = scope.get("query_string") or b""
    return parse_qs(query.decode("latin-1")).get(name, [None])[-1] if query else None


def timeout(scope: Scope, usual_ms: float, longest_ms: float) -> float:
    """How long the caller waits (ms). Raises `RequestRefused` (422)."""
    given = parameter(scope, "timeout_ms")
    if given is None:
        return usual_ms
    try:
        timeout_ms = float(given)
    except ValueError:
        timeout_ms = -1.0
    if not 1 <= timeout_ms <= longest_ms:
        words = f"timeout_ms is a number from 1 to {longest_ms:g}, not {given[:80]!r}"
        raise RequestRefused(Refused("wrong parameter", 422, words, "timeout_ms"))
    return timeout_ms


def batch(body: bytes) -> list[bytes]:
    """The transactions of a JSON array, each as its own JSON. Raises `RequestRefused` (422)."""
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


def trace_context(scope: Scope) -> str | None:
    """The W3C trace context (`traceparent`) that came, where it is one."""
    given = header(scope, b"traceparent")
    return given.decode("ascii") if given is not None and TRACE.fullmatch(given) else None
