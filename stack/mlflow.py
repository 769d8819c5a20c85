"""One MLflow tracking and registry server as a local process."""

import sys

import urllib3

from stack.server import HOST, NotReady, Server


class MLflow(Server):
    """A server over a SQLite file and an artifact folder, both in its own folder."""

    name = "MLflow"

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def database_uri(self) -> str:
        """The same registry without a server: readers and writers open the SQLite file itself."""
        return f"sqlite:///{self.folder / 'mlflow.db'}"

    def environment(self) -> dict[str, str]:
        """The server's address, or the database's where the server was not asked for."""
        return {"MLFLOW_TRACKING_URI": self.url if self.pid else self.database_uri}

    def _process_environment(self) -> dict[str, str]:
        return {
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"
        }  # its job runners take 20 s and 2 GB, and nothing uses them

    def _prepare(self, ports: list[int]) -> list[str]:
        artifacts = self.folder / "artifacts"
        return [
            *(sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", str(ports[0]), "--workers", "1"),
            *("--backend-store-uri", self.database_uri, "--artifacts-destination", str(artifacts)),
        ]

    def _check_ready(self) -> None:
        try:
            answer = urllib3.request("GET", f"{self.url}/health", timeout=5, retries=False)
        except urllib3.exceptions.HTTPError as error:
            raise NotReady(str(error)) from error
        if answer.status != 200:
            raise NotReady(f"/health answered {answer.status}")
