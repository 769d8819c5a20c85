"""HTTP, by hand: reading a request's body and sending an answer as plain ASGI, without a framework between."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, Final

import msgspec

from serving.answers import Refused

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Header = tuple[bytes, bytes]
Content = tuple[int, bytes, list[Header]]
"""Of a response: status, body, headers."""
Reply = Callable[[int, bytes, list[Header]], None]
"""Sends a response whole."""

BODY_SECONDS: Final = 10.0
"""How long a request may take to arrive: who sends a byte a second must not hold memory and a connection for ever."""

_JSON: Final[Header] = (b"content-type", b"application/json")
_PROBLEM: Final[Header] = (b"content-type", b"application/problem+json")
_encode: Final = msgspec.json.Encoder().encode


class RequestRefused(Exception):
    """A request that is answered with a status of its own."""

    def __init__(self, refused: Refused, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(refused.detail)
        self.refused = refused
        self.headers = dict(headers or {})


class Disconnected(Exception):
    """The client has gone before its request was whole."""


async def body_of(scope: Scope, receive: Receive, most_bytes: int, seconds: float = BODY_SECONDS) -> bytes:
    """The request's body. Raises `RequestRefused` (413, larger than allowed; 408, not here in time), `Disconnected`."""
    try:
        async with asyncio.timeout(seconds):
            return await _body_of(scope, receive, most_bytes)
    except TimeoutError:
        refused = Refused("too slow", 408, f"the request did not arrive whole within {seconds:g} s")
        raise RequestRefused(refused, {"connection": "close"}) from None


async def _body_of(scope: Scope, receive: Receive, most_bytes: int) -> bytes:
    length = header(scope, b"content-length")
    if length is not None and length.isdigit() and int(length) > most_bytes:
        raise too_large(int(length), most_bytes)
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body"):
        body: bytes = message.get("body", b"")
        if len(body) > most_bytes:
            raise too_large(len(body), most_bytes)
        return body
    parts, size = [], 0
    while True:
        if message["type"] == "http.disconnect":
            raise Disconnected
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > most_bytes:
            raise too_large(size, most_bytes)
        if not message.get("more_body"):
            return b"".join(parts)
        message = await receive()


def header(scope: Scope, name: bytes) -> bytes | None:
    """A request's header; name in small letters."""
    return next((value for key, value in scope["headers"] if key == name), None)


async def send_json(send: Send, answer: object, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
    """Answer with a record as JSON."""
    await _send(send, *json_of(answer, status, headers))


async def send_refusal(send: Send, refused: RequestRefused) -> None:
    """Answer with why there is no answer."""
    await _send(send, *refusal_of(refused))


def json_of(answer: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Content:
    """A response that is a record as JSON."""
    return _content(status, _encode(answer), _JSON, headers)


def refusal_of(refused: RequestRefused) -> Content:
    """A response that says why there is no answer."""
    return _content(refused.refused.status, _encode(refused.refused), _PROBLEM, refused.headers)


def _content(status: int, body: bytes, kind: Header, headers: Mapping[str, str] | None) -> Content:
    more = [(name.encode(), value.encode()) for name, value in headers.items()] if headers else ()
    return status, body, [kind, (b"content-length", b"%d" % len(body)), *more]


async def _send(send: Send, status: int, body: bytes, headers: list[Header]) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def too_large(size: int, most_bytes: int) -> RequestRefused:
    """413."""
    return RequestRefused(
        Refused("too large", 413, f"the request has {size:,} bytes; at most {most_bytes:,} are taken")
    )
