"""The head of a response and its body go out together, and each kind of response stays whole."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn

from serving.protocol import OneWrite, Protocol

BODY = b"HTTP/1.1 is also how a body may begin"


async def app(scope: Any, receive: Any, send: Any) -> None:
    """/body with its length, /parts in chunks, /late with a pause before its body, /read after the request's body."""
    if scope["type"] != "http":
        return
    path = scope["path"]
    if path == "/read":
        await receive()
    length = [] if path == "/parts" else [(b"content-length", str(len(BODY)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": length})
    if path == "/late":
        await asyncio.sleep(0.05)
    if path == "/parts":
        await send({"type": "http.response.body", "body": BODY[:9], "more_body": True})
        await send({"type": "http.response.body", "body": BODY[9:]})
        return
    await send({"type": "http.response.body", "body": BODY})


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, http=Protocol, loop="uvloop", log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
    thread.start()
    yield listening.getsockname()[1]
    server.should_exit = True
    thread.join(10)


def asked(port: int, *requests: bytes) -> bytes:
    """Everything that a server says until it closes the connection."""
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.sendall(b"".join(requests))
        came = b""
        while more := connection.recv(65536):
            came += more
    return came


def request(path: str, method: str = "GET", last: bool = True, more: str = "", body: bytes = b"") -> bytes:
    closing = "connection: close\r\n" if last else ""
    return f"{method} {path} HTTP/1.1\r\nhost: x\r\n{closing}{more}\r\n".encode() + body


@pytest.mark.parametrize("path", ["/body", "/late"])
def test_a_body_with_its_length_comes_whole(port: int, path: str) -> None:
    head, _, body = asked(port, request(path)).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    assert body == BODY


def test_chunks_come_whole(port: int) -> None:
    assert asked(port, request("/parts")).endswith(
        b"\r\n\r\n9\r\n" + BODY[:9] + b"\r\n1c\r\n" + BODY[9:] + b"\r\n0\r\n\r\n"
    )


def test_a_head_alone_is_sent_where_no_body_follows(port: int) -> None:
    head, _, body = asked(port, request("/body", "HEAD")).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    assert body == b""


def test_answers_on_one_connection_keep_their_order(port: int) -> None:
    came = asked(port, request("/late", last=False), request("/body", "HEAD", last=False), request("/body"))
    assert came.count(b"HTTP/1.1 200 OK") == 3
    assert came.endswith(BODY)


def test_the_leave_to_go_on_is_sent_at_once(port: int) -> None:
    asking = request("/read", "POST", more="content-length: 1\r\nexpect: 100-continue\r\n")
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.sendall(asking)
        assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"x")
        assert connection.recv(65536).endswith(BODY)


class Recorded:
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        self.written: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def close(self) -> None:
        self.written.append(b"closed")


def test_head_and_body_are_one_write() -> None:
    recorded = Recorded()
    transport = OneWrite(recorded)
    transport.write(b"HTTP/1.1 200 OK\r\n\r\n")
    transport.write(b"body")
    transport.write(b"HTTP/1.1 404 Not Found\r\n\r\n")
    transport.close()
    assert recorded.written == [b"HTTP/1.1 200 OK\r\n\r\nbody", b"HTTP/1.1 404 Not Found\r\n\r\n", b"closed"]
