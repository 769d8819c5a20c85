"""The servers that Scoreline needs, together, in one data folder."""

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from filelock import FileLock

from stack.errors import InfluxDBUnavailable, StackError
from stack.influxdb import InfluxDB
from stack.kafka import Kafka
from stack.mlflow import MLflow
from stack.security import Security
from stack.server import Server

INFLUXDB_SETTINGS = ("INFLUXDB_URL", "INFLUXDB_TOKEN", "INFLUXDB_ORG", "INFLUXDB_BUCKET", "INFLUXDB_CA")


class Ports(NamedTuple):
    """The ports to listen on; None for a free one."""

    kafka: int | None = None
    influxdb: int | None = None
    mlflow: int | None = None


ANY_PORTS = Ports()


class Stack:
    """Kafka, InfluxDB and, when asked for, an MLflow server.

    As a context manager it starts what does not run yet, and at the end stops what it started and nothing else.
    """

    def __init__(
        self,
        data: Path,
        ports: Ports = ANY_PORTS,
        with_mlflow_server: bool = False,
        elsewhere: Mapping[str, str] | None = None,
        *,
        secured: bool | None = None,
    ) -> None:
        """`elsewhere`: the settings of an InfluxDB that is not ours to start, as variables (`influxdb_elsewhere`).

        `secured`: Kafka and InfluxDB talk TLS and ask for a login; by default as they did at their first start.
        """
        self.data = data.absolute()
        own = Security(self.data / "security")
        self._refuse_change(own, secured)
        security = own if secured or (secured is None and own.authority.exists()) else None
        self.kafka = Kafka(self.data / "kafka", ports.kafka, security)
        self.influxdb = InfluxDB(self.data / "influxdb", ports.influxdb, security)
        self.mlflow = MLflow(self.data / "mlflow", ports.mlflow)
        self.without_influxdb: InfluxDBUnavailable | None = None
        self._elsewhere = dict(elsewhere or {})
        self._with_mlflow_server = with_mlflow_server
        self._started: list[Server] = []

    def _refuse_change(self, own: Security, secured: bool | None) -> None:
        before = (self.data / "kafka" / "ports.json").exists()
        if secured and before and not own.authority.exists():
            raise StackError(
                f"The servers in {self.data} were started without logins, and keep to that: name another folder (--data)."
            )

    @property
    def servers(self) -> list[Server]:
        """The servers that are this stack's to start, in that order."""
        return [self.kafka, *([] if self._elsewhere else [self.influxdb]), self.mlflow]

    def start(self) -> list[Server]:
        """Starts what does not run yet, and returns that. Raises StackError.

        Where no InfluxDB is available, the rest is started and `without_influxdb` says why.
        """
        self.mlflow.folder.mkdir(parents=True, exist_ok=True)  # for its SQLite file, with and without a server
        started = []
        with FileLock(self.data / "lock"):
            for server in self.servers:
                if server is self.mlflow and not self._with_mlflow_server:
                    continue
                try:
                    if server.start():
                        started.append(server)
                        self._started.append(server)
                except InfluxDBUnavailable as reason:
                    self.without_influxdb = reason
        return started

    def stop(self) -> list[Server]:
        """Stops all that runs, in the reverse order, whoever started it; returns what was stopped."""
        return [server for server in reversed(self.servers) if server.stop()]

    def environment(self) -> dict[str, str]:
        """The settings that clients of the running servers need, as environment variables."""
        settings = self.mlflow.environment() | self._elsewhere
        for server in (self.kafka, self.influxdb):
            if server in self.servers and server.pid is not None:
                settings |= server.environment()
        return settings

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self._stop_started()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop_started()

    def _stop_started(self) -> None:
        while self._started:
            self._started.pop().stop()


def influxdb_elsewhere(environment: Mapping[str, str]) -> dict[str, str]:
    """The InfluxDB settings of an environment that has INFLUXDB_URL, else none."""
    if "INFLUXDB_URL" not in environment:
        return {}
    return {name: environment[name] for name in INFLUXDB_SETTINGS if name in environment}
