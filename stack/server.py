"""What all local servers have in common: a folder, ports that they keep, a start that waits until they answer."""

import json
import random
import socket
from abc import ABC, abstractmethod
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

import psutil
from tenacity import RetryError, Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from stack.errors import StackError
from stack.process import RecordedProcess

HOST = "127.0.0.1"

# Below the range from which systems give ports to outgoing connections (Linux 32768, others 49152). From that range, a
# client that keeps trying to reach a stopped server is in the end given the server's own port, and occupies it.
FREE_PORTS = range(20_000, 32_000)


class NotReady(Exception):
    """The server does not answer yet as it should."""


class Server(ABC):
    """One server, whose data, log and process record live in one folder.

    Its ports are chosen at the first start and kept, so that clients find it again after a restart.
    """

    name: ClassVar[str]
    ports_needed: ClassVar[int] = 1
    start_seconds: ClassVar[float] = 120
    stop_seconds: ClassVar[float] = 30

    def __init__(self, folder: Path, port: int | None = None) -> None:
        """`port`: where clients connect; None for a free one."""
        self.folder = folder.absolute()
        self.log = self.folder / "server.log"
        self._ports_file = self.folder / "ports.json"
        self._wanted_port = port
        self._process = RecordedProcess(self.folder / "process.json", self.log)

    @abstractmethod
    def _prepare(self, ports: list[int]) -> list[str]:
        """Writes the configuration that the server needs, and returns its command line."""

    @abstractmethod
    def _check_ready(self) -> None:
        """Raises NotReady unless this very server answers."""

    @abstractmethod
    def environment(self) -> dict[str, str]:
        """The settings that clients of this server need."""

    @property
    def port(self) -> int:
        """Where clients connect, once it was started a first time."""
        return self._ports()[0]

    @property
    def pid(self) -> int | None:
        """Process id of the running server, None when it does not run."""
        process = self._process.find()
        return process.pid if process else None

    def start(self) -> bool:
        """Starts the server and waits until it answers; False when it runs already. Raises StackError."""
        if self.pid is not None:
            if self._wanted_port not in (None, self.port):
                raise StackError(
                    f"{self.name} runs already, on port {self.port} and not on {self._wanted_port}: "
                    "stop it first (python -m stack down)."
                )
            return False
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        ports = self._choose_ports()
        command = self._prepare(ports)
        self._ports_file.write_text(json.dumps(ports))
        self._process.start(command, self._process_environment())
        try:
            self._await_ready()
        except BaseException:  # Ctrl-C too: what did not come up must not stay behind
            self.stop()
            raise
        return True

    def stop(self) -> bool:
        """Asks the server to end, and waits until it did; False when it did not run."""
        return self._process.end(self.stop_seconds)

    def kill(self) -> bool:
        """Ends the server without a warning, as a crash would; False when it did not run."""
        return self._process.kill()

    def _process_environment(self) -> dict[str, str]:
        """Additions to the environment that the server itself runs in."""
        return {}

    def _ports(self) -> list[int]:
        if not self._ports_file.exists():
            raise StackError(f"{self.name} was never started in {self.folder}: start it first (python -m stack up).")
        ports: list[int] = json.loads(self._ports_file.read_text())
        return ports

    def _choose_ports(self) -> list[int]:
        """The ports of the last start where they are still free, else others; the wanted port, or a StackError."""
        if self._wanted_port is not None and not is_free(self._wanted_port):
            raise StackError(
                f"{self.name} was to listen on port {self._wanted_port}, but {_holder(self._wanted_port)} has it: "
                "end that, or choose another port."
            )
        ports = self._ports() if self._ports_file.exists() else []
        if self._wanted_port is not None:
            ports = [self._wanted_port, *ports[1:]]
        if not all(is_free(port) for port in ports):
            ports = ports[:1] if self._wanted_port is not None else []
        while len(ports) < self.ports_needed:
            port = random.choice(FREE_PORTS)
            if port not in ports and is_free(port):
                ports.append(port)
        return ports

    def _await_ready(self) -> None:
        waiting = Retrying(
            retry=retry_if_exception_type(NotReady), stop=stop_after_delay(self.start_seconds), wait=wait_fixed(0.1)
        )
        try:
            waiting(self._check_alive_and_ready)
        except RetryError as error:
            raise StackError(
                f"{self.name} did not answer within {self.start_seconds:g} seconds ({error.last_attempt.exception()}): "
                f"see {self.log}."
            ) from error

    def _check_alive_and_ready(self) -> None:
        if self.pid is None:
            last_lines = " / ".join(self.log.read_text(errors="replace").splitlines()[-3:])
            raise StackError(
                f"{self.name} ended as soon as it was started: see {self.log}, which ends with: {last_lines}"
            )
        self._check_ready()


def write_private(path: Path, text: str) -> None:
    """A file that only its owner may read, whoever could before."""
    path.unlink(missing_ok=True)
    path.touch(mode=0o600, exist_ok=False)
    path.write_text(text)


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of the loopback interface now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """A port of the loopback interface that nothing listens on at the moment."""
    with socket.socket() as free:
        free.bind((HOST, 0))
        return int(free.getsockname()[1])


def accepts(port: int) -> bool:
    """Whether something accepts connections there."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) == 0


def _holder(port: int) -> str:
    """Who listens on the port, for a message, as far as this user may know."""
    with suppress(psutil.AccessDenied, psutil.NoSuchProcess):
        for connection in psutil.net_connections("tcp"):
            if connection.laddr and connection.laddr.port == port and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (process {connection.pid})"
    return "another program"
