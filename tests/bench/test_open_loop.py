"""The load generator, against servers whose delay is known: what it measures is what they do."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from bench.open_loop import OpenLoop, Plan

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
Delay = Callable[[int], float]


class Server:
    """Answers each request after a delay in seconds, which may depend on its number; counts connections."""

    def __init__(self, delay: Delay, answer: bytes, stalls: tuple[float, float] | None) -> None:
        self.delay, self.answer, self.stalls = delay, answer, stalls
        self.requests = self.connections = 0
        self.port = 0
        self.loop = asyncio.new_event_loop()
        self.ready = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        server = self.loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        if self.stalls is not None:
            after, seconds = self.stalls
            self.loop.call_later(after, time.sleep, seconds)
        self.ready.set()
        self.loop.run_forever()
        server.close()
        tasks = asyncio.all_tasks(self.loop)
        for task in tasks:
            task.cancel()
        self.loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
                number, self.requests = self.requests, self.requests + 1
                await asyncio.sleep(self.delay(number))
                writer.write(self.answer)
                if not self.answer:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@contextmanager
def serving(delay: Delay, answer: bytes = ANSWER, stalls: tuple[float, float] | None = None) -> Iterator[Server]:
    server = Server(delay, answer, stalls)
    server.thread.start()
    server.ready.wait(10)
    yield server
    server.loop.call_soon_threadsafe(server.loop.stop)
    server.thread.join(10)


def test_the_latency_is_the_servers_delay() -> None:
    with serving(lambda number: 0.1 if number % 10 == 0 else 0.02) as server:
        found = OpenLoop(f"http://127.0.0.1:{server.port}/", Plan(200)).run([b"{}"] * 400)
    assert (found.sent, found.statuses, found.lost, found.errors) == (400, {200: 400}, 0, 0)
    assert found.latency.p50 is not None
    assert found.latency.p95 is not None
    assert 20 <= found.latency.p50 < 40
    assert 100 <= found.latency.p95 < 140


def test_a_stall_is_charged_with_all_that_was_due_meanwhile() -> None:
    """In a closed loop a stall of half a second is one slow request; here it is half a second of them."""
    with serving(lambda _: 0.0, stalls=(0.75, 0.5)) as server:
        found = OpenLoop(f"http://127.0.0.1:{server.port}/", Plan(200)).run([b"{}"] * 400)
    waited = [value for value in found.latency.quantiles[:100] if value > 50]
    assert 17 <= len(waited) <= 40, found.latency  # 0.45 of 2 s waited for longer than 50 ms
    assert found.latency.max is not None
    assert found.latency.max >= 400


def test_where_all_connections_are_busy_requests_wait_and_the_wait_counts() -> None:
    """Two connections at 20 ms answer 100 a second: of 200 a second every second one is still to come after a second."""
    with serving(lambda _: 0.02) as server:
        found = OpenLoop(f"http://127.0.0.1:{server.port}/", Plan(200, connections=2)).run([b"{}"] * 200)
        assert server.connections == 2
    assert found.statuses == {200: 200}
    assert found.latency.max is not None
    assert found.latency.max >= 900


def test_connections_are_kept_alive() -> None:
    with serving(lambda _: 0.0) as server:
        OpenLoop(f"http://127.0.0.1:{server.port}/", Plan(100)).run([b"{}"] * 100)
        assert server.connections <= 20


@pytest.mark.parametrize(
    ("answer", "statuses", "errors", "lost"),
    [
        (b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n", {503: 20}, 20, 0),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 18\r\n\r\n" + b'{"degraded":"why"}', {200: 20}, 20, 0),
        (b"", {}, 20, 20),
    ],
)
def test_what_is_no_judgement_is_an_error(answer: bytes, statuses: dict[int, int], errors: int, lost: int) -> None:
    with serving(lambda _: 0.0, answer) as server:
        found = OpenLoop(f"http://127.0.0.1:{server.port}/", Plan(100)).run([b"{}"] * 20)
    assert (found.statuses, found.errors, found.lost) == (statuses, errors, lost)


def test_the_warm_up_does_not_count() -> None:
    with serving(lambda number: 0.2 if number < 50 else 0.0) as server:
        found = OpenLoop(f"http://127.0.0.1:{server.port}/", Plan(100, warm_up_seconds=0.5)).run([b"{}"] * 100)
    assert found.latency.records == 50
    assert found.latency.p95 is not None
    assert found.latency.p95 < 150
