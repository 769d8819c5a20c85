"""The short way to an answer: for requests that come whole; all others, and what it does not take, go the long way."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn

from serving.http import Reply
from serving.protocol import Protocol

TEXT = [(b"content-type", b"text/plain")]


class Application:
    """Answers with which way a request came, its path, query and body. short: not for /long; /late after a while."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        content = b" ".join([b"long", scope["method"].encode(), scope["path"].encode(), scope["query_string"], body])
        length = (b"content-length", str(len(content)).encode())
        await send({"type": "http.response.start", "status": 200, "headers": [*TEXT, length]})
        await send({"type": "http.response.body", "body": content})

    def short(self, scope: Any, body: bytes, reply: Reply) -> bool:
        if scope["path"] == "/long":
            return False
        content = b" ".join([b"short", scope["method"].encode(), scope["path"].encode(), scope["query_string"], body])

        def give() -> None:
            reply(200, content, [*TEXT, (b"content-length", str(len(content)).encode())])

        if scope["path"] == "/late":
            asyncio.get_running_loop().call_later(0.05, give)
        else:
            give()
        return True


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(Application(), http=Protocol, loop="uvloop", log_config=None, lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
    thread.start()
    yield listening.getsockname()[1]
    server.should_exit = True
    thread.join(10)


def request(path: str, body: bytes = b"{}", method: str = "POST", more: str = "", last: bool = False) -> bytes:
    closing = "connection: close\r\n" if last else ""
    head = f"{method} {path} HTTP/1.1\r\nhost: x\r\n{closing}{more}content-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def asked(port: int, *parts: bytes) -> list[bytes]:
    """The bodies of all that is said until the connection closes; each part is sent by itself."""
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        came = b""
        for part in parts:
            connection.sendall(part)
            threading.Event().wait(0.02)
        while more := connection.recv(65536):
            came += more
    bodies = []
    while came:
        head, _, rest = came.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"\r\ndate: " in head
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        bodies.append(rest[:length])
        came = rest[length:]
    return bodies


LAST = request("/end", last=True)
END = b"long POST /end  {}"


def test_a_request_that_comes_whole_goes_the_short_way_with_its_query(port: int) -> None:
    assert asked(port, request("/a?b=c", b'{"d":1}'), LAST) == [b'short POST /a b=c {"d":1}', END]


@pytest.mark.parametrize("cut", [1, 20, -1])
def test_a_request_that_comes_in_parts_is_whole_when_it_is_answered(port: int, cut: int) -> None:
    whole = request("/a?b=c", b'{"d":1}')
    (body, end) = asked(port, whole[:cut], whole[cut:], LAST)
    assert body.partition(b" ")[2] == b'POST /a b=c {"d":1}'
    assert end == END


def test_what_the_short_way_does_not_take_is_whole_on_the_long_one(port: int) -> None:
    assert asked(port, request("/long?x=1", b"[1,2]"), LAST) == [b"long POST /long x=1 [1,2]", END]
    assert asked(port, request("/a%20b"), request("/a", b"", "GET"), LAST) == [
        b"long POST /a b  {}",
        b"long GET /a  ",
        END,
    ]


@pytest.mark.parametrize("at_once", [True, False])
def test_answers_on_one_connection_come_in_the_order_of_their_requests(port: int, at_once: bool) -> None:
    requests = [request(path) for path in ("/late", "/a", "/late", "/long", "/late")] + [LAST]
    found = asked(port, b"".join(requests)) if at_once else asked(port, *requests)
    assert [body.split(b" ")[2] for body in found] == [b"/late", b"/a", b"/late", b"/long", b"/late", b"/end"]


def test_a_client_that_goes_while_it_waits_harms_nobody(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.sendall(request("/late"))
    assert asked(port, request("/late"), LAST) == [b"short POST /late  {}", END]


def test_what_is_no_http_after_a_good_head_is_refused(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.sendall(b"POST /a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n")
        came = b""
        while more := connection.recv(65536):
            came += more
    assert came.startswith(b"HTTP/1.1 400 ")
