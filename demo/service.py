"""The servers beside the job in a demo: the scoring service and the analyst's page, without which it goes on."""

import time
from typing import Any, Final

import urllib3

from demo.folder import Folder
from demo.programs import Program
from programs.output import first_cause
from settings import Settings
from stack.server import free_port, is_free

HOST: Final = "127.0.0.1"
HTTP_ERRORS: Final = 400
PATIENCE_SECONDS: Final = 10.0
READY_SECONDS: Final = 60.0
"""So long after its start it is reported where it is not ready."""


class _Beside:
    """A server as a process of the demo; what ends it is reported, and ends nothing else. name: what a person calls it."""

    name: str

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

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._started and self._program.running

    def _begin(self, command: list[str], settings: Settings, own: dict[str, object], port: int, last: bool) -> None:
        self._port = port
        self._program.start(command, settings.model_copy(update=own).environment(), last=last)
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
        raise NotImplementedError

    def _without(self, what: str, why: str) -> str:
        return f"{self.name} {what}, the demo goes on without it: {why.rstrip('.')} (its output is in {self._program.log})."

    def stop(self) -> None:
        """SIGTERM, and what is left after some time is killed."""
        self._started = False
        self._program.end(PATIENCE_SECONDS)


class Service(_Beside):
    """`scoreline serve`."""

    name = "The service"

    def start(self, settings: Settings) -> None:
        """Returns at once: it loads while the job starts, and takes up the traffic from its first record on."""
        port = _usable(settings.serve_port)
        own: dict[str, object] = {
            "initial_state": self._folder.state / "customers.parquet",
            "serve_host": HOST,
            "serve_port": port,
            "serve_state": self._folder.service,
        }
        self._begin(["serving"], settings, own, port, last=False)

    def _ready(self) -> tuple[bool, str]:
        try:
            said: Any = self._http.request("GET", f"{self.address}/ready").json()
            return bool(said["ready"]), str(said["state"])
        except (urllib3.exceptions.HTTPError, ValueError, KeyError, TypeError) as error:
            return False, str(error)


class Page(_Beside):
    """`scoreline page`: the alerts of the run as an analyst sees them. It gets the processor's time that the others leave."""

    name = "The analyst's page"

    def start(self, settings: Settings) -> None:
        """Returns at once."""
        port = _usable(settings.page_port)
        own: dict[str, object] = {
            "page_host": HOST,
            "page_port": port,
            "page_data": self._folder.page,
            "page_database": None,
        }
        self._begin(["page"], settings, own, port, last=True)

    def _ready(self) -> tuple[bool, str]:
        try:
            answer = self._http.request("GET", self.address, redirect=True)
            return answer.status < HTTP_ERRORS, f"it answers {answer.status}"
        except urllib3.exceptions.HTTPError as error:
            return False, str(error)


def _usable(port: int) -> int:
    """This port of the loopback interface where nothing listens on it, else a free one."""
    return port if port and is_free(port) else free_port()
