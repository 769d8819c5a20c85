"""A page that runs in this process, at an address of its own."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from page.app import build
from page.parts import Parts


@contextmanager
def running(parts: Parts) -> Iterator[str]:
    """The page's address, while the block lasts."""
    config = uvicorn.Config(
        build(parts),
        "127.0.0.1",
        0,
        log_config=None,
        access_log=False,
        proxy_headers=False,
        timeout_graceful_shutdown=2,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        deadline = time.monotonic() + 120
        while not server.started:
            assert thread.is_alive()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        yield "http://{}:{}".format(*server.servers[0].sockets[0].getsockname()[:2])
    finally:
        parts.pulse.stop()
        server.should_exit = True
        thread.join(20)
