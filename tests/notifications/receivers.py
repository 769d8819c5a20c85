"""Real receivers: an HTTP server that takes, refuses, delays and hangs, and an SMTP server with TLS and a password."""

import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


class Hooks:
    """What a web hook got by path. A path `/500` is answered so, `/429` once so with Retry-After, `/hang` after a minute."""

    def __init__(self) -> None:
        self.got: dict[str, list[dict[str, Any]]] = {}
        self.at: dict[str, list[float]] = {}
        self.ended = threading.Event()
        self.status: dict[str, int] = {}

    def answer(self, path: str, body: bytes) -> tuple[int, dict[str, str]]:
        self.at.setdefault(path, []).append(time.monotonic())
        if path == "/hang":
            self.ended.wait(60)
        if path == "/429" and len(self.at[path]) == 1:
            return 429, {"Retry-After": "2"}
        if path in self.status or path == "/500":
            return self.status.get(path, 500), {}
        self.got.setdefault(path, []).append(json.loads(body))
        return 200, {}

    def wait_at(self, path: str, count: int = 1, seconds: float = 30) -> bool:
        """Whether so many were sent there, whether or not they were answered."""
        until = time.monotonic() + seconds
        while len(self.at.get(path, [])) < count and time.monotonic() < until:
            time.sleep(0.02)
        return len(self.at.get(path, [])) >= count

    def wait(self, path: str, count: int = 1, seconds: float = 30) -> list[dict[str, Any]]:
        until = time.monotonic() + seconds
        while len(self.got.get(path, [])) < count and time.monotonic() < until:
            time.sleep(0.02)
        return self.got.get(path, [])


@contextmanager
def hooks() -> Iterator[tuple[Hooks, str]]:
    """The hooks, and the server as HOST:PORT."""
    found = Hooks()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            status, headers = found.answer(self.path, self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            pass  # who waited has left

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield found, f"127.0.0.1:{server.server_address[1]}"
    finally:
        found.ended.set()
        server.shutdown()
        server.server_close()


class Mails:
    """What an SMTP server got."""

    def __init__(self) -> None:
        self.got: list[Envelope] = []

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self.got.append(envelope)
        return "250 OK"


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def mails(tls: ssl.SSLContext | None = None, password: str | None = None) -> Iterator[tuple[Mails, int]]:
    """The mails, and the server's port; with TLS by STARTTLS, and with a password of the user `scoreline`."""
    found = Mails()

    def authenticate(server: Any, session: Any, envelope: Any, mechanism: Any, data: Any) -> AuthResult:  # noqa: ARG001
        right = isinstance(data, LoginPassword) and (data.login, data.password) == (
            b"scoreline",
            str(password).encode(),
        )
        return AuthResult(success=right)

    controller = Controller(
        found,
        hostname="127.0.0.1",
        port=_free_port(),
        tls_context=tls,
        require_starttls=tls is not None,
        authenticator=authenticate if password else None,
        auth_required=password is not None,
        auth_require_tls=tls is not None,
    )
    controller.start()
    try:
        yield found, controller.server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
    finally:
        controller.stop()
