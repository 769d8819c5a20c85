"""The service as a process: started on a run's settings, asked by HTTP, watched until it is ready."""

import http.client
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import msgspec

from bench.errors import BenchError
from bench.inputs import Input
from bench.open_loop import Load
from bench.programs import PYTHON, Running
from settings import Settings
from stack.server import free_port

_READY_SECONDS: Final = 120.0
_END_SECONDS: Final = 30.0
_BATCH: Final = 500


class Served:
    """A context: inside, a program answers by HTTP. ready: the path that is 200 once it does."""

    def __init__(
        self, command: Sequence[str], folder: Path, environment: dict[str, str], port: int, ready: str
    ) -> None:
        self.port, self._folder, self._ready, self._loads = port, folder, ready, 0
        self.program = Running("service", folder, command, environment)

    @classmethod
    def scoreline(cls, settings: Settings, made: Input) -> Self:
        """`scoreline serve` on a run's topics, with the input's state and model."""
        port, folder = free_port(), Path(settings.log_dir) / "service"
        own = {
            "SCORELINE_SERVE_PORT": str(port),
            "SCORELINE_SERVE_STATE": str(folder / "state"),
            "SCORELINE_INITIAL_STATE": str(made.state / "customers.parquet"),
        }
        return cls([*PYTHON, "serving"], folder, settings.environment() | own, port, "/ready")

    def __enter__(self) -> Self:
        deadline = time.monotonic() + _READY_SECONDS
        while time.monotonic() < deadline:
            self.program.check()
            try:
                if self.get(self._ready) == 200:
                    return self
            except OSError:
                pass
            time.sleep(0.1)
        self.program.end(1.0)
        raise BenchError(f"the service is not ready after {_READY_SECONDS:.0f} s: {self.program.output[-500:]}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.program.end(_END_SECONDS)

    def get(self, path: str) -> int:
        """The status of an answer. Raises OSError where there is none."""
        return self._ask("GET", path)

    def _ask(self, method: str, path: str, body: bytes | None = None) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path, body)
            return connection.getresponse().status
        except http.client.HTTPException as error:
            raise OSError(str(error)) from error
        finally:
            connection.close()

    def post(self, path: str, body: bytes) -> int:
        """The status of an answer. Raises OSError where there is none."""
        return self._ask("POST", path, body)

    def load(
        self, file: Path, path: str, rate: float, rows: tuple[int, int], warm_up: float, keep: bool = True
    ) -> tuple[Load, list[Any]]:
        """Post rows (first, count) of a file at a rate, in a process of its own; also the answers' JSON, where it is kept."""
        self._loads += 1
        answers = self._folder / f"answers{self._loads}"
        flags = {
            "url": f"http://127.0.0.1:{self.port}{path}",
            "rate": rate,
            "skip": rows[0],
            "count": rows[1],
            "warm-up": warm_up,
        } | ({"answers": answers} if keep else {})
        given = [part for name, value in flags.items() for part in (f"--{name}", str(value))]
        loop = Running(f"load{self._loads}", self._folder, [*PYTHON, "bench.open_loop", str(file), *given], {})
        try:
            found = msgspec.json.decode(loop.wait().strip().splitlines()[-1], type=Load)
        finally:
            loop.end(1.0)
        return found, [json.loads(line) for line in answers.read_bytes().splitlines() if line] if keep else []

    def batches(self, values: Sequence[bytes]) -> Iterator[dict[str, Any]]:
        """Post transactions in arrays, one array after the other; the answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=90)
        for start in range(0, len(values), _BATCH):
            body = b"[" + b",".join(values[start : start + _BATCH]) + b"]"
            connection.request("POST", "/transactions?timeout_ms=60000", body, {"content-type": "application/json"})
            answer = connection.getresponse()
            content = answer.read()
            if answer.status != 200:
                raise BenchError(f"the service refused a batch: {content[:300]!r}")
            yield from json.loads(content)
        connection.close()
