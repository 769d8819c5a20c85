"""HTTP on a connection: uvicorn's, with a short way to the answer for requests that come whole."""

import asyncio
from http import HTTPStatus
from typing import Any, Final, cast

import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from serving.answers import Refused
from serving.http import Header

_HEAD: Final = b"HTTP/1.1 "
_CONTINUE: Final = b"HTTP/1.1 100"
_CLOSE: Final = b"connection: close\r\n"
_STATUS: Final = {each: b"HTTP/1.1 %d %b\r\n" % (each, each.phrase.encode()) for each in HTTPStatus}


class OneWrite:
    """A connection's transport that sends the head of a response together with what follows: one call of the system less, in
    each of which another thread may take the interpreter.
    """

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self._head = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send, or hold what is a response's head."""
        if data.startswith(_HEAD) and not data.startswith(_CONTINUE):
            self.flush()
            self._head = data
            return
        self._transport.write(self._head + data)
        self._head = b""

    def flush(self) -> None:
        """Send a head that nothing has followed."""
        if self._head:
            self._transport.write(self._head)
            self._head = b""

    def close(self) -> None:
        """Send what is held, and close."""
        self.flush()
        self._transport.close()


class _Ended:
    """In the place of an event that a request's body waits for."""

    def set(self) -> None:
        """Nobody waits."""


class _Short:
    """A request on the short way, in the form of uvicorn's cycle, as far as its protocol looks at one."""

    message_event: Final = _Ended()

    def __init__(self) -> None:
        self.body: list[bytes] = []
        self.response_complete = False
        self.disconnected = False
        self.keep_alive = True


class Protocol(HttpToolsProtocol):
    """uvicorn's HTTP, which answers what is no HTTP in the form of all refusals.

    A POST that comes whole, on a connection where no other waits, is offered to the application's `short` first, if it has
    one: (scope, body, reply) → whether it was taken, and is answered by `reply`.
    """

    _short: _Short | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See `asyncio.Protocol`."""
        self._direct = transport
        self._offer = getattr(self.config.app, "short", None)
        super().connection_made(cast(asyncio.Transport, OneWrite(transport)))

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        super().data_received(data)
        if self._direct.is_closing():
            self._short = None
        elif self._short is not None:  # the rest of its body has yet to come
            self._go_long()

    def on_headers_complete(self) -> None:
        """See `HttpToolsProtocol`."""
        self._unset_keepalive_if_required()  # which the request before, of the same read, may have set
        free = self.cycle is None or self.cycle.response_complete
        if free and self._offer is not None and self.parser.get_method() == b"POST" and self._is_plain():
            self._short = _Short()
        else:
            super().on_headers_complete()

    def _is_plain(self) -> bool:
        parser = self.parser
        return (
            not (self.expect_100_continue or self.flow.write_paused or b"#" in self.url or b"%" in self.url)
            and parser.get_http_version() == "1.1"
            and parser.should_keep_alive()
            and not parser.should_upgrade()
        )

    def on_body(self, body: bytes) -> None:
        """See `HttpToolsProtocol`."""
        if self._short is not None:
            self._short.body.append(body)
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """See `HttpToolsProtocol`."""
        short, offer = self._short, self._offer
        if short is None or offer is None:
            super().on_message_complete()
            return
        path, _, query = self.url.partition(b"?")
        scope = cast(dict[str, Any], self.scope)
        scope.update(method="POST", path=path.decode("ascii", "replace"), raw_path=path, query_string=query)
        taken_over = self.cycle
        self._short, self.cycle = None, cast(Any, short)
        if not offer(scope, b"".join(short.body), lambda *content: self._reply(short, *content)):
            self._short, self.cycle = short, taken_over
            self._go_long()
            super().on_message_complete()

    def _go_long(self) -> None:
        short, self._short = self._short, None
        assert short is not None
        super().on_headers_complete()
        for body in short.body:
            super().on_body(body)

    def _reply(self, short: _Short, status: int, body: bytes, headers: list[Header]) -> None:
        short.response_complete = True
        if short.disconnected:
            return
        all_headers = [*self.server_state.default_headers, *headers]
        ends = b"\r\n" if short.keep_alive and (b"connection", b"close") not in headers else _CLOSE + b"\r\n"
        lines = b"".join([b"%b: %b\r\n" % each for each in all_headers if each[0] != b"connection"])
        self._direct.write(_STATUS[HTTPStatus(status)] + lines + ends + body)
        if len(ends) > 2:
            self._direct.close()
        self.on_response_complete()

    def on_response_complete(self) -> None:
        """See `HttpToolsProtocol`."""
        cast(OneWrite, self.transport).flush()
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """See `HttpToolsProtocol`."""
        body = msgspec.json.encode(Refused("no HTTP", 400, msg))
        head = b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/problem+json\r\nconnection: close\r\n"
        self.transport.write(head + b"content-length: %d\r\n\r\n" % len(body) + body)
        self.transport.close()
