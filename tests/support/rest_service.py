"""A REST service of the tests' own: a real HTTP server that gives payments in pages, and fails when it is asked to."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit


class Said(NamedTuple):
    """What it answers: any bytes as a body, anything else as JSON."""

    status: int
    body: Any
    headers: dict[str, str] = {}  # noqa: RUF012


Asked = dict[str, str]
"""A request's parameters, and under "path" and "authorization" what their names say."""


class RestService:
    """Answers GET by `answer`, which a test may replace while it runs; `asked` is what it was asked."""

    def __init__(self, answer: Callable[[Asked], Said]) -> None:
        self.answer, self.asked, self.url = answer, list[Asked](), ""


@contextmanager
def rest_service(answer: Callable[[Asked], Said]) -> Iterator[RestService]:
    """A service on a port of its own."""
    service = RestService(answer)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            asked = {name: values[-1] for name, values in parse_qs(parts.query).items()}
            asked |= {"path": parts.path, "authorization": self.headers.get("Authorization", "")}
            service.asked.append(asked)
            said = service.answer(asked)
            body = said.body if isinstance(said.body, bytes) else json.dumps(said.body).encode()
            self.send_response(said.status)
            for name, value in ({"Content-Length": str(len(body))} | said.headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        service.url = f"http://127.0.0.1:{server.server_port}/payments"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield service
        finally:
            server.shutdown()
            thread.join()
