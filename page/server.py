"""The page's HTTP server."""

import logging
from typing import Any, Final

import uvicorn

from page.app import build
from page.errors import PageError
from page.heads import Heads
from page.parts import Parts, address_of
from page.store.database import open_database
from settings import Settings

_log = logging.getLogger(__name__)

_DRAIN_SECONDS: Final = 3


def run(settings: Settings) -> None:
    """Serve until a signal. Raises `PageError` where the page can't start."""
    parts = Parts.of(settings, open_database(address_of(settings)))
    config = uvicorn.Config(
        build(parts),
        host=settings.page_host,
        port=settings.page_port,
        access_log=False,
        log_config=None,
        server_header=False,
        http=Heads,
        proxy_headers=False,  # who asks is found out by page.access, which knows whom to trust
        ssl_certfile=settings.page_tls_certificate,
        ssl_keyfile=settings.page_tls_key,
        timeout_graceful_shutdown=_DRAIN_SECONDS,
    )
    try:
        config.load()
    except OSError as error:  # ssl.SSLError is one
        raise PageError(f"the TLS certificate or its key can't be used: {error}") from None
    _Server(config, parts).run()


class _Server(uvicorn.Server):
    """uvicorn's server, which says where it is, and ends open streams when it is asked to end."""

    def __init__(self, config: uvicorn.Config, parts: Parts) -> None:
        super().__init__(config)
        self._parts = parts

    async def startup(self, sockets: Any = None) -> None:
        """See `uvicorn.Server`."""
        await super().startup(sockets)
        if self.started:
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            scheme = "https" if self.config.is_ssl else "http"
            print(f"The page is at {scheme}://{f'[{host}]' if ':' in host else host}:{port}", flush=True)

    def handle_exit(self, sig: int, frame: Any) -> None:
        """See `uvicorn.Server`."""
        self._parts.pulse.stop()
        super().handle_exit(sig, frame)
