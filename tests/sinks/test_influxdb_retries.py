"""What the sink does where a server asks to wait, which a real one does only under a load that no test wants to make."""

import gzip
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from sinks.influxdb import InfluxDBSink
from sinks.sink import SinkRejected, SinkUnavailable


class Scripted(HTTPServer):
    """Answers one write after the other with the given status and Retry-After, and keeps what was sent."""

    def __init__(self) -> None:
        super().__init__(("", 0), _Handler)
        self.answers: list[tuple[int, str | None]] = []
        self.bodies: list[bytes] = []
        self.encodings: list[str] = []


class _Handler(BaseHTTPRequestHandler):
    server: Scripted

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.encodings.append(self.headers["Content-Encoding"])
        self.server.bodies.append(gzip.decompress(body) if self.server.encodings[-1] == "gzip" else body)
        status, wait = self.server.answers.pop(0)
        self.send_response(status)
        if wait is not None:
            self.send_header("Retry-After", wait)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Scripted]:
    with Scripted() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def sink(server: Scripted) -> Iterator[InfluxDBSink]:
    with InfluxDBSink(f"http://127.0.0.1:{server.server_port}", "b", "o") as sink:
        yield sink


def test_a_server_that_asks_to_wait_gets_the_same_points_when_it_wants_them(
    server: Scripted, sink: InfluxDBSink
) -> None:
    server.answers = [(429, "1"), (503, None), (204, None)]
    started = time.monotonic()
    sink.write(b"m n=1i 1\n")
    assert server.bodies == [b"m n=1i 1\n"] * 3
    assert time.monotonic() - started >= 1


def test_points_are_compressed_for_a_server_on_another_machine_alone(server: Scripted) -> None:
    server.answers = [(204, None), (204, None)]
    for host in ("127.0.0.1", "127.0.0.2"):  # the sink knows this machine by its usual names
        with InfluxDBSink(f"http://{host}:{server.server_port}", "b", "o") as sink:
            sink.write(b"m n=1i 1\n")
    assert server.encodings == ["identity", "gzip"]
    assert server.bodies == [b"m n=1i 1\n"] * 2


def test_after_three_tries_the_server_s_status_is_reported(server: Scripted, sink: InfluxDBSink) -> None:
    server.answers = [(503, "0")] * 3
    with pytest.raises(SinkUnavailable, match="answered 503"):
        sink.write(b"m n=1i 1\n")
    assert len(server.bodies) == 3


def test_a_server_that_wants_to_be_left_alone_for_an_hour_is_not_waited_for(
    server: Scripted, sink: InfluxDBSink
) -> None:
    server.answers = [(503, "3600")] * 3
    started = time.monotonic()
    with pytest.raises(SinkUnavailable):
        sink.write(b"m n=1i 1\n")
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("status", [400, 401, 404, 413, 422])
def test_what_will_be_refused_again_is_not_tried_again(server: Scripted, sink: InfluxDBSink, status: int) -> None:
    server.answers = [(status, None)]
    with pytest.raises(SinkRejected, match=f"answered {status}"):
        sink.write(b"m n=1i 1\n")
    assert len(server.bodies) == 1


@pytest.mark.parametrize("status", [200, 201, 202, 206])
def test_what_answers_otherwise_than_influxdb_has_stored_nothing(
    server: Scripted, sink: InfluxDBSink, status: int
) -> None:
    """A page of maintenance, a login, another server: they take anything, and keep nothing."""
    server.answers = [(status, None), (204, None)]
    with pytest.raises(SinkUnavailable, match=rf"{status}, where InfluxDB answers 204.*INFLUXDB_URL"):
        sink.write(b"m n=1i 1\n")
    sink.write(b"m n=1i 1\n")
