"""What a request says besides its transactions: how long it waits, its trace, how many there are."""

from typing import Final
from urllib.parse import parse_qs

import msgspec

from serving.answers import Refused
from serving.http import RequestRefused, Scope, header
from serving.intake import TRACE

MOST_IN_A_BATCH: Final = 1_000
_MOST_PARAMETERS: Final = 20
_raw_list: Final = msgspec.json.Decoder(list[msgspec.Raw])


class Limits(msgspec.Struct, frozen=True):
    """What a request may be and how long it waits. timeout_ms: where it names none."""

    request_bytes: int = 4 << 20
    transaction_bytes: int = 65_536
    timeout_ms: float = 1_000.0
    longest_timeout_ms: float = 60_000.0


def parameter_of(scope: Scope, name: str) -> str | None:
    """A parameter of the query, the last of several; None where it is not there or empty. Raises `RequestRefused`."""
    query: bytes = scope.get("query_string") or b""
    if not query:
        return None
    try:
        given = parse_qs(query.decode("latin-1"), max_num_fields=_MOST_PARAMETERS).get(name)
    except ValueError as error:
        raise RequestRefused(Refused("wrong parameter", 422, f"the query can't be read: {error}")) from error
    return given[-1] if given else None


def timeout_of(scope: Scope, limits: Limits) -> float:
    """How long a request waits, ms: what it names, else the setting. Raises `RequestRefused`."""
    given = parameter_of(scope, "timeout_ms")
    if given is None:
        return limits.timeout_ms
    try:
        timeout_ms = float(given)
    except ValueError:
        timeout_ms = -1.0
    if not 1 <= timeout_ms <= limits.longest_timeout_ms:
        most = limits.longest_timeout_ms
        raise RequestRefused(
            Refused(
                "wrong parameter", 422, f"timeout_ms is a number from 1 to {most:g}, not {given[:80]!r}", "timeout_ms"
            )
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
    return given.decode("ascii") if given is not None and TRACE.fullmatch(given) else None
