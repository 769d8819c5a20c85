"""`python -m bench.open_loop`: asks an HTTP server at a steady rate, whether it keeps up or not.

The loop is open: each request has a time at which it is due, and its latency counts from then until its answer is whole. So
a server that stalls is charged with all that was due meanwhile (Tene, How NOT to Measure Latency). Connections are kept
alive; one more is opened where all are waiting, and where there are as many as may be, a request waits for the first that is
free. It is a process of its own, so that it keeps its pace whatever else is measured.
"""

import heapq
import itertools
import select
import selectors
import socket
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

import httptools
import msgspec
import typer

from bench.figures import Latency, latency
from bench.sender import rows

_READ_BYTES: Final = 1 << 16
_CONNECT_SECONDS: Final = 10.0
_EARLY_SECONDS: Final = 0.25

Heard = Callable[[int, float, int, bytes], None]
"""(number of the request, latency in ms, status, body): called for each answer, between two requests, so it must be quick."""


class Load(msgspec.Struct):
    """What came of a steady rate. statuses: answers by status. lost: requests whose connection ended before their answer, or
    that were not answered `patience_seconds` after the last. late_ms: by how much the loop was ever late to send while a
    connection was free. latency: of all answers that are 200, from when the request was due, after the warm-up.
    degraded: answers without a judgement.
    """

    rate: float
    sent: int
    statuses: dict[int, int]
    lost: int
    late_ms: float
    latency: Latency
    degraded: int = 0

    @property
    def errors(self) -> int:
        """Requests without the answer that they were sent for."""
        return self.sent - self.statuses.get(200, 0) + self.degraded


class Plan(msgspec.Struct, frozen=True):
    """How fast, what part does not count, and on how many connections at most."""

    rate: float
    warm_up_seconds: float = 0.0
    connections: int = 256
    patience_seconds: float = 5.0


class _Connection:
    """One kept-alive connection, with at most one request on it."""

    def __init__(self, address: tuple[str, int], order: int) -> None:
        self.socket = socket.create_connection(address, _CONNECT_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.order = order
        self.request: int | None = None
        self._expect()

    def __lt__(self, other: "_Connection") -> bool:
        return self.order < other.order

    def _expect(self) -> None:
        self.parser = httptools.HttpResponseParser(self)
        self.body: list[bytes] = []
        self.whole = False

    def on_body(self, body: bytes) -> None:
        self.body.append(body)

    def on_message_complete(self) -> None:
        self.whole = True

    def answer(self) -> tuple[int, bytes] | None:
        """Read what has come: (status, body) once it is whole. Raises OSError where the server closed the connection."""
        came = self.socket.recv(_READ_BYTES)
        if not came:
            raise ConnectionResetError
        self.parser.feed_data(came)
        if not self.whole:
            return None
        found = self.parser.get_status_code(), b"".join(self.body)
        self._expect()
        return found


class OpenLoop:
    """Sends requests when they are due. url: where each body is posted."""

    def __init__(self, url: str, plan: Plan, heard: Heard | None = None) -> None:
        parts = urlsplit(url)
        self._address = parts.hostname or "127.0.0.1", parts.port or 80
        target = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
        self._head = f"POST {target} HTTP/1.1\r\nhost: {parts.netloc}\r\ncontent-type: application/json\r\n".encode()
        self._plan = plan
        self._heard = heard
        self._selector = selectors.DefaultSelector()
        self._free: list[_Connection] = []
        self._opened = itertools.count()
        self._open = self._busy = 0
        self._waiting: deque[int] = deque()
        self._latencies: list[float] = []
        self._statuses: Counter[int] = Counter()
        self._lost = self._degraded = 0
        self._late = 0.0

    def run(self, bodies: Sequence[bytes]) -> Load:
        """Post each body once, at the plan's rate. Raises OSError where no server listens."""
        self._bodies = bodies
        self._free.append(self._connected())
        self._began = time.perf_counter() + _EARLY_SECONDS
        sent, last = 0, self._due(len(bodies))
        while sent < len(bodies) or self._busy or self._waiting:
            now = time.perf_counter()
            while sent < len(bodies) and self._due(sent) <= now:
                self._waiting.append(sent)
                sent += 1
            self._send()
            if sent == len(bodies) and now > last + self._plan.patience_seconds:
                break
            self._hear(max(0.0, (self._due(sent) if sent < len(bodies) else now + 0.05) - time.perf_counter()))
        self._lost += self._busy + len(self._waiting)
        for key in list(self._selector.get_map().values()):
            key.data.socket.close()
        self._selector.close()
        return Load(
            *(self._plan.rate, len(bodies), dict(self._statuses), self._lost, self._late * 1000),
            latency(self._latencies),
            self._degraded,
        )

    def _due(self, number: int) -> float:
        return self._began + number / self._plan.rate

    def _connected(self) -> _Connection:
        connection = _Connection(self._address, next(self._opened))
        self._selector.register(connection.socket, selectors.EVENT_READ, connection)
        self._open += 1
        return connection

    def _send(self) -> None:
        while self._waiting and (self._free or self._open < self._plan.connections):
            connection = heapq.heappop(self._free) if self._free else self._connected()
            connection.request = number = self._waiting.popleft()
            body = self._bodies[number]
            self._busy += 1
            if self._open < self._plan.connections:
                self._late = max(self._late, time.perf_counter() - self._due(number))
            try:
                connection.socket.sendall(b"%bcontent-length: %d\r\n\r\n%b" % (self._head, len(body), body))
            except OSError:
                self._drop(connection)

    def _hear(self, seconds: float) -> None:
        """Take answers until so much time is over, or some came. select waits to the microsecond; epoll to the millisecond."""
        select.select([self._selector], [], [], seconds)
        for key, _ in self._selector.select(0):
            connection: _Connection = key.data
            try:
                found = connection.answer()
            except (OSError, httptools.HttpParserError):
                self._drop(connection)
                continue
            if found is not None:
                self._count(connection, *found)

    def _count(self, connection: _Connection, status: int, body: bytes) -> None:
        number, connection.request = connection.request, None
        heapq.heappush(self._free, connection)
        if number is None:
            return
        self._busy -= 1
        self._statuses[status] += 1
        self._degraded += b'"degraded":' in body
        took = (time.perf_counter() - self._due(number)) * 1000
        if status == 200 and number >= self._plan.rate * self._plan.warm_up_seconds:
            self._latencies.append(took)
        if self._heard is not None:
            self._heard(number, took, status, body)

    def _drop(self, connection: _Connection) -> None:
        """A connection that the server closed; the request on it is lost."""
        self._selector.unregister(connection.socket)
        connection.socket.close()
        self._open -= 1
        if connection.request is not None:
            self._busy -= 1
            self._lost += 1
        elif connection in self._free:
            self._free.remove(connection)
            heapq.heapify(self._free)


def values(file: Path, skip: int, count: int) -> Iterator[bytes]:
    """The bodies: values of a file of encoded transactions."""
    for _, some in rows(file, skip, count):
        yield from some


def main(
    file: Annotated[Path, typer.Argument(help="Arrow IPC file of keys and values.")],
    url: Annotated[str, typer.Option(help="Where to post each value.")],
    rate: Annotated[float, typer.Option(help="Requests a second.")],
    skip: Annotated[int, typer.Option(help="Rows to leave out at the beginning.")] = 0,
    count: Annotated[int, typer.Option(help="How many rows to send.")] = 1,
    warm_up: Annotated[float, typer.Option(help="Seconds at the beginning whose latency does not count.")] = 0.0,
    answers: Annotated[Path | None, typer.Option(help="File for the bodies of all answers, one a line.")] = None,
) -> None:
    """Post rows of a file, and print what came of it as one JSON object."""
    kept: list[bytes] = []
    loop = OpenLoop(url, Plan(rate, warm_up), lambda number, took, status, body: kept.append(body))
    found = loop.run(list(values(file, skip, count)))
    if answers is not None:
        answers.write_bytes(b"\n".join(kept) + b"\n")
    print(msgspec.json.encode(found).decode(), flush=True)


if __name__ == "__main__":
    typer.run(main)
