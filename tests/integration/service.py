"""The service as a process, for tests: started as a user starts it, asked by HTTP."""

import json
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import urllib3

from settings import Settings
from stack.server import free_port

ROOT = Path(__file__).resolve().parents[2]


class Response(NamedTuple):
    status: int
    body: Any
    headers: dict[str, str]


class Service:
    """One replica, with a state folder and a port of its own."""

    def __init__(self, settings: Settings, folder: Path, *flags: str) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.output = folder / "output"
        environment = settings.environment() | {
            "SCORELINE_SERVE_PORT": str(self.port),
            "SCORELINE_SERVE_STATE": str(folder / "serving"),
            "SCORELINE_LOG_DIR": str(folder / "logs"),
            # So long that a machine with other work on it answers with judgements; a test may ask for less.
            "SCORELINE_SERVE_TIMEOUT_MS": "30000",
            "PATH": "/usr/bin:/bin",
            "HOME": str(folder),
        }
        with self.output.open("a") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "serving", *flags],
                cwd=ROOT,
                env=environment,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        self._http = urllib3.PoolManager(retries=False, timeout=30, maxsize=32)

    def wait_until_ready(self, seconds: float = 180) -> Self:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise AssertionError(f"the service has ended: {self.output.read_text()}")
            try:
                if self.get("/ready").status == 200:
                    return self
            except urllib3.exceptions.HTTPError:
                pass
            time.sleep(0.05)
        self.kill()
        raise AssertionError(f"not ready: {self.output.read_text()}")

    def said(self) -> str:
        """What /ready says; nothing while nobody answers."""
        try:
            return str(self.get("/ready").body["state"])
        except urllib3.exceptions.HTTPError:
            return ""

    def get(self, path: str, headers: dict[str, str] | None = None) -> Response:
        return self._ask("GET", path, None, headers or {})

    def post(self, path: str, body: Any, headers: dict[str, str] | None = None) -> Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self._ask("POST", path, content, headers or {})

    def _ask(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Response:
        found = self._http.request(method, f"http://127.0.0.1:{self.port}{path}", body=body, headers=headers)
        kind = found.headers.get("content-type", "")
        content = json.loads(found.data) if "json" in kind else found.data.decode()
        return Response(found.status, content, dict(found.headers))

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(30)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.kill()
