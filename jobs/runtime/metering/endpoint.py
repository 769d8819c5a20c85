"""The page that Prometheus reads: a small HTTP server in the driver, which nothing waits for."""

import logging
import socket
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, Final
from wsgiref.simple_server import WSGIRequestHandler

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.exposition import ThreadingWSGIServer
from prometheus_client.registry import Collector

from settings import Settings

_log = logging.getLogger(__name__)

_AGAIN_SECONDS: Final = 0.5
_PATHS: Final = ("/metrics", "/")


class _Page:
    """The WSGI application. However many ask, the page is made twice a second at most."""

    def __init__(self, collector: Collector) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(collector)
        self._lock = threading.Lock()
        self._made = float("-inf")
        self._content = b""

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ.get("PATH_INFO") not in _PATHS or environ.get("REQUEST_METHOD") not in ("GET", "HEAD"):
            start_response("404 Not Found", [("Content-Type", "text/plain")])
            return [b"GET /metrics is what is answered here\n"]
        with self._lock:
            if time.monotonic() - self._made > _AGAIN_SECONDS:
                self._content, self._made = generate_latest(self._registry), time.monotonic()
            content = self._content
        start_response("200 OK", [("Content-Type", CONTENT_TYPE_LATEST)])
        return [content]


class _Handler(WSGIRequestHandler):
    timeout = 10  # seconds, of a client that says nothing

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: who looks is of no interest."""


def serve(settings: Settings, collector: Collector) -> None:
    """Begin to show the metrics at the address of the settings, in the background; port 0: nowhere.

    An address that can't be had is logged, and nothing else happens.
    """
    if settings.metrics_port:
        threading.Thread(target=_serve, args=(settings, collector), name="metrics", daemon=True).start()


def _serve(settings: Settings, collector: Collector) -> None:
    host, port = settings.metrics_host, settings.metrics_port
    try:
        with _server(host, port) as server:
            server.set_app(_Page(collector))
            _log.info("metrics for Prometheus: http://%s:%d/metrics", host, port)
            server.serve_forever()
    except (OSError, UnicodeError) as error:
        _log.warning(
            "metrics are not shown: %s:%d can't be had (%s). The job goes on without; --metrics-port names another port, "
            "0 shows none",
            host,
            port,
            error,
        )


def _server(host: str, port: int) -> ThreadingWSGIServer:
    [(family, *_), *_] = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)

    class Server(ThreadingWSGIServer):
        address_family = family

    return Server((host, port), _Handler)
