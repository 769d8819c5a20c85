"""How long the head of a request may take to arrive, and how large it may be."""

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

SECONDS: Final = 10.0
MOST_BYTES: Final = 1 << 16


class Heads(HttpToolsProtocol):
    """uvicorn's HTTP, which waits for a head no longer than `SECONDS` and keeps no more of it than `MOST_BYTES`.

    uvicorn itself waits for ever: whoever opens connections and says nothing, or never ends, would take them all.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._too_late: asyncio.TimerHandle | None = None
        self._bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See `asyncio.Protocol`."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self._arrived()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        if not self._answers():
            self._bytes += len(data)
        super().data_received(data)
        if self._answers() or self.transport.is_closing():
            return
        self._wait()
        if self._bytes > MOST_BYTES:
            self._refuse(b"431 Request Header Fields Too Large")

    def on_headers_complete(self) -> None:
        """See `HttpToolsProtocol`."""
        self._arrived()
        super().on_headers_complete()

    def _answers(self) -> bool:
        """Whether a request is being answered."""
        return self.cycle is not None and not self.cycle.response_complete

    def _wait(self) -> None:
        if self._too_late is None:
            self._too_late = self.loop.call_later(SECONDS, self._refuse, b"408 Request Timeout")

    def _arrived(self) -> None:
        self._bytes = 0
        if self._too_late is not None:
            self._too_late.cancel()
            self._too_late = None

    def _refuse(self, status: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(b"HTTP/1.1 " + status + b"\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
            self.transport.close()
