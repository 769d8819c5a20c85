"""Stands between a client and the real InfluxDB, and answers in its place where a test wants it to."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

import urllib3


class FaultyInfluxDB(ThreadingHTTPServer):
    """`answer`: the status that writes are answered with; None: InfluxDB's own; 0: none at all, as long as it is 0.

    most_bytes: of a write's body; a larger one is answered with 413, as by a server with a smaller max-body-size.
    """

    daemon_threads = True
    answer: int | None = None
    most_bytes: int | None = None

    def __init__(self, url: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.behind = url
        self.refused: dict[int, int] = {}
        self.changed = threading.Event()
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def behave(self, answer: int | None = None, most_bytes: int | None = None) -> None:
        """From now on; who waits for an answer gets one now."""
        self.answer, self.most_bytes = answer, most_bytes
        self.changed.set()
        self.changed = threading.Event()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        self.behave(503)
        self.shutdown()
        self._thread.join()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that did not wait for its answer is no error here."""


class _Handler(BaseHTTPRequestHandler):
    server: FaultyInfluxDB

    def do_GET(self) -> None:
        self._forward(b"")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        while self.server.answer == 0:
            self.server.refused[0] = self.server.refused.get(0, 0) + 1
            self.server.changed.wait(60)
        most = self.server.most_bytes
        status = 413 if most is not None and len(body) > most else self.server.answer
        if status is None:
            self._forward(body)
            return
        self.server.refused[status] = self.server.refused.get(status, 0) + 1
        self._answer(status, b'{"code":"refused","message":"by a test"}')

    def _forward(self, body: bytes) -> None:
        headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
        url = self.server.behind + self.path
        found = urllib3.request(self.command, url, body=body or None, headers=headers, timeout=30, retries=False)
        self._answer(found.status, found.data)

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass
