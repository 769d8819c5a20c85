"""The HTTP server around the service."""

import asyncio
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import uvicorn

from scoreline import __version__
from serving.access import Access
from serving.answers import Refused
from serving.app import App
from serving.customers import Lookup
from serving.description import description
from serving.http import Receive, Reply, RequestRefused, Scope, Send, send_refusal
from serving.metrics import Metrics
from serving.page_process import PageProcess
from serving.pages import pages
from serving.policies import Policies
from serving.protocol import Protocol
from serving.requests import Limits
from serving.service import Service
from settings import Settings

_SWITCH_SECONDS: Final = 0.0005
"""How long one thread may hold the interpreter while another waits: the tail must not let requests wait for Python's 5 ms."""

_DRAIN_SECONDS: Final = 10


class Server:
    """One replica with its HTTP server."""

    def __init__(self, settings: Settings, rebuild: bool = False) -> None:
        self._settings = settings
        self.metrics = Metrics()
        policies = Policies(settings.serve_policy)
        self._access = Access.read(settings.serve_keys)
        self.service = Service(settings, policies, self.metrics, rebuild)
        self._limits = Limits(settings.serve_request_bytes, settings.max_transaction_bytes, settings.serve_timeout_ms)
        lookup = Lookup(self.service.customers, self.service.states, self._access, self.service.elsewhere)
        self._pages = pages(
            lambda: self.service.state, self.metrics, self.service.refresh, description(__version__), lookup.answer
        )
        self._app: App | None = None

    def run(self) -> None:
        """Serve until a signal, then let what is under way finish."""
        sys.setswitchinterval(_SWITCH_SECONDS)
        settings = self._settings
        config = uvicorn.Config(
            self,
            host=settings.serve_host,
            port=settings.serve_port,
            loop="uvloop",
            http=Protocol,
            access_log=False,
            log_config=None,
            server_header=False,
            timeout_graceful_shutdown=_DRAIN_SECONDS,
            ssl_certfile=settings.serve_tls_certificate,
            ssl_keyfile=settings.serve_tls_key,
        )
        page = PageProcess(settings) if settings.serve_page else None
        if page is not None:
            page.start()
        try:
            _HTTP(config).run()
        finally:
            if page is not None:
                page.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI application."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        if self._app is None and self.service.lane is not None:
            self._app = App(self.service.lane, self._access, self.metrics, self._limits, self._pages)
        state = self.service.state
        if self._app is None or not state.ready:
            if scope["type"] == "http" and scope["path"] in ("/transactions", "/predict"):
                await send_refusal(send, RequestRefused(Refused("not ready", 503, state.words), {"retry-after": "1"}))
                return
            await self._pages(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def short(self, scope: Scope, body: bytes, reply: Reply) -> bool:
        """Answer a request by `reply`, if it can go the short way: see `App.short`."""
        return self._app is not None and self.service.state.ready and self._app.short(scope, body, reply)

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self.service.start(asyncio.get_running_loop())
                await send({"type": "lifespan.startup.complete"})
            else:
                await asyncio.to_thread(self.service.close)
                await send({"type": "lifespan.shutdown.complete"})
                return


class _HTTP(uvicorn.Server):
    """uvicorn's server, which ends in order at a signal; without raising the signal again, so that the exit status is 0."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """See `uvicorn.Server`."""
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
