"""One InfluxDB 1.8 server as a local process."""

from pathlib import Path

import urllib3

from stack.errors import StackError
from stack.influxd import influxd
from stack.security import USER, Security
from stack.server import HOST, NotReady, Server

DATABASE = "scoreline"
RETENTION_POLICY = "autogen"
CONFIGURATION = """\
reporting-disabled = true
bind-address = "{host}:{backup_port}"
[meta]
  dir = "{folder}/data/meta"
[data]
  dir = "{folder}/data/data"
  wal-dir = "{folder}/data/wal"
  index-version = "tsi1"
  query-log-enabled = false
[monitor]
  store-enabled = false
[http]
  bind-address = "{host}:{port}"
  log-enabled = false
  flux-enabled = true
{secured}[logging]
  level = "warn"
  suppress-logo = true
"""
SECURED = """\
  auth-enabled = true
  pprof-enabled = false
  https-enabled = true
  https-certificate = "{certificate}"
  https-private-key = "{key}"
"""


class InfluxDB(Server):
    """A server on the loopback interface. Its data survives stop, kill and start.

    security: it talks TLS alone, and to that user alone; else without a login.
    """

    name = "InfluxDB"
    ports_needed = 2

    def __init__(self, folder: Path, port: int | None = None, security: Security | None = None) -> None:
        super().__init__(folder, port)
        self._security = security

    @property
    def url(self) -> str:
        return f"{'http' if self._security is None else 'https'}://{HOST}:{self.port}"

    @property
    def token(self) -> str:
        """What clients send; empty without a login."""
        return "" if self._security is None else f"{USER}:{self._security.password}"

    def environment(self) -> dict[str, str]:
        plain = {
            "INFLUXDB_URL": self.url,
            "INFLUXDB_TOKEN": self.token,
            "INFLUXDB_ORG": "scoreline",
            "INFLUXDB_BUCKET": f"{DATABASE}/{RETENTION_POLICY}",
        }
        return plain if self._security is None else plain | {"INFLUXDB_CA": str(self._security.authority)}

    def _process_environment(self) -> dict[str, str]:
        # Go's collector runs when the heap has grown by so many percent: by 100, its default, costs a tenth of the CPU.
        return {"GOGC": "400"}

    def create_database(self, name: str = DATABASE) -> str:
        """Creates the database unless it exists; returns its bucket, "database/retention-policy"."""
        self._run(f'CREATE DATABASE "{name}"')
        return f"{name}/{RETENTION_POLICY}"

    def drop_database(self, name: str) -> None:
        """Removes the database with all its points."""
        self._run(f'DROP DATABASE "{name}"')

    def _run(self, statement: str) -> None:
        answer = self._ask(statement)
        results = answer.json().get("results", [{}])
        if answer.status != 200 or "error" in results[0]:
            raise StackError(f"InfluxDB answered {statement} with {answer.status} {answer.data.decode()}")

    def _ask(self, statement: str) -> urllib3.BaseHTTPResponse:
        headers = {} if self._security is None else urllib3.make_headers(basic_auth=self.token)
        with self._http() as http:
            return http.request(
                "POST",
                f"{self.url}/query",
                fields={"q": statement},
                encode_multipart=False,
                headers=headers,
                timeout=30,
            )

    def _http(self) -> urllib3.PoolManager:
        return urllib3.PoolManager(ca_certs=None if self._security is None else str(self._security.authority))

    def _secured(self) -> str:
        if self._security is None:
            return ""
        self._security.prepare()
        return SECURED.format(certificate=self._security.certificate, key=self._security.key)

    def _prepare(self, ports: list[int]) -> list[str]:
        program = influxd()
        configuration = self.folder / "influxdb.conf"
        configuration.write_text(
            CONFIGURATION.format(
                host=HOST, port=ports[0], backup_port=ports[1], folder=self.folder, secured=self._secured()
            )
        )
        return [str(program), "run", "-config", str(configuration)]

    def _check_ready(self) -> None:
        try:
            with self._http() as http:
                answer = http.request("GET", f"{self.url}/ping", timeout=5, retries=False)
        except urllib3.exceptions.HTTPError as error:
            raise NotReady(str(error)) from error
        if answer.status != 204:
            raise NotReady(f"/ping answered {answer.status}")
        if (
            self._security is not None
        ):  # the first user is made without a login; later this is refused, and changes nothing
            self._ask(f"CREATE USER {USER} WITH PASSWORD '{self._security.password}' WITH ALL PRIVILEGES")
        self.create_database()
