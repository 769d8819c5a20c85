"""One InfluxDB 1.8 server as a local process."""

from urllib.parse import urlencode

import urllib3

from stack.errors import StackError
from stack.influxd import influxd
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
[logging]
  level = "warn"
  suppress-logo = true
"""


class InfluxDB(Server):
    """A server without authentication, on the loopback interface. Its data survives stop, kill and start."""

    name = "InfluxDB"
    ports_needed = 2

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def environment(self) -> dict[str, str]:
        return {
            "INFLUXDB_URL": self.url,
            "INFLUXDB_TOKEN": "",
            "INFLUXDB_ORG": "scoreline",
            "INFLUXDB_BUCKET": f"{DATABASE}/{RETENTION_POLICY}",
        }

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
        query = urlencode({"q": statement})
        answer = urllib3.request("POST", f"{self.url}/query?{query}", timeout=30)
        results = answer.json().get("results", [{}])
        if answer.status != 200 or "error" in results[0]:
            raise StackError(f"InfluxDB answered {statement} with {answer.status} {answer.data.decode()}")

    def _prepare(self, ports: list[int]) -> list[str]:
        program = influxd()
        configuration = self.folder / "influxdb.conf"
        configuration.write_text(
            CONFIGURATION.format(host=HOST, port=ports[0], backup_port=ports[1], folder=self.folder)
        )
        return [str(program), "run", "-config", str(configuration)]

    def _check_ready(self) -> None:
        try:
            answer = urllib3.request("GET", f"{self.url}/ping", timeout=5, retries=False)
        except urllib3.exceptions.HTTPError as error:
            raise NotReady(str(error)) from error
        if answer.status != 204:
            raise NotReady(f"/ping answered {answer.status}")
        self.create_database()
