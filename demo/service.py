"""The scoring service in a demo: started beside the job, on the same topics; without it the demo goes on."""

import time
from typing import Any, Final

import urllib3

from demo.folder import Folder
from demo.programs import Program
from programs.output import first_cause
from settings import Settings
from stack.server import free_port, is_free

HOST: Final = "127.0.0.1"
PATIENCE_SECONDS: Final = 10.0
READY_SECONDS: Final = 60.0
"""So long after its start it is reported where it is not ready."""


class Service:
    """`scoreline serve` as a process of the demo; what ends it is reported, and ends nothing else."""

    def __init__(self, program: Program, folder: Folder) -> None:
        self._program = program
        self._folder = folder
        self._started = False
        self._port = 0
        self._report_at: float | None = None
        self._http = urllib3.PoolManager(retries=False, timeout=0.5)

    @property
    def address(self) -> str:
        return f"http://{HOST}:{self._port}"

    def start(self, settings: Settings) -> None:
        """Returns at once: it loads while the job starts, and takes up the traffic from its first record on."""
        self._port = _usable(settings.serve_port)
        own: dict[str, object] = {
            "initial_state": self._folder.state / "customers.parquet",
            "serve_host": HOST,
            "serve_port": self._port,
            "serve_state": self._folder.service,
        }
        self._program.start(["serving"], settings.model_copy(update=own).environment())
        self._started = True
        self._report_at = time.monotonic() + READY_SECONDS

    def trouble(self) -> str | None:
        """One line, once, where it has ended by itself, or is not ready after a minute; the demo goes on without it."""
        if not self._started:
            return None
        if not self._program.running:
            self._started = False
            return self._without("has ended", first_cause(self._program.output))
        if self._report_at is None or time.monotonic() < self._report_at:
            return None
        self._report_at = None
        ready, why = self._ready()
        return None if ready else self._without("is not ready", why)

    def _ready(self) -> tuple[bool, str]:
        try:
            said: Any = self._http.request("GET", f"{self.address}/ready").json()
            return bool(said["ready"]), str(said["state"])
        except (urllib3.exceptions.HTTPError, ValueError, KeyError, TypeError) as error:
            return False, str(error)

    def _without(self, what: str, why: str) -> str:
        return f"The service {what}, the demo goes on without it: {why.rstrip('.')} (its output is in {self._program.log})."

    def stop(self) -> None:
        """SIGTERM, and what is left after some time is killed."""
        self._started = False
        self._program.end(PATIENCE_SECONDS)


def _usable(port: int) -> int:
    """This port of the loopback interface where nothing listens on it, else a free one."""
    return port if port and is_free(port) else free_port()
