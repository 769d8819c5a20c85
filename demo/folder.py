"""The demo's data folder: what lies where in it, and what one run takes over from the run before."""

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
from filelock import FileLock, Timeout

from demo.errors import DemoError

ROOT: Final = Path(__file__).resolve().parents[1]

LIVE_START: Final = datetime(2024, 6, 3, 8, tzinfo=UTC)
"""Where history ends and live traffic begins: the same on every day that the demo runs, so that a seed always gives the
same traffic, and so long ago that the fast simulated clock does not overtake the present for days. A Monday morning."""

_SOURCES: Final = ("generator/**/*.py", "ml/**/*.py", "requirements.lock")


class Origin(msgspec.Struct, frozen=True):
    """All that a history, and the model trained on it, depend on."""

    seed: int
    customers: int
    live_start: str
    days: int
    sources: str

    @classmethod
    def of(cls, seed: int, customers: int, days: int) -> "Origin":
        """`sources` stands for the code: after a change in it, nothing that older code made is taken over."""
        digest = hashlib.sha256()
        for pattern in _SOURCES:
            for path in sorted(ROOT.glob(pattern)):
                digest.update(path.read_bytes())
        return cls(seed, customers, LIVE_START.isoformat(), days, digest.hexdigest())


@dataclass(frozen=True)
class Folder:
    """A folder that belongs to the demo alone. The servers (`stack.Stack`) and the model registry have their folders in it."""

    root: Path

    @property
    def history(self) -> Path:
        return self.root / "history"

    @property
    def state(self) -> Path:
        """The customers' past, folded from the history."""
        return self.root / "state"

    @property
    def registry(self) -> Path:
        return self.root / "mlflow"

    @property
    def checkpoint(self) -> Path:
        return self.root / "checkpoint"

    @property
    def service(self) -> Path:
        """The scoring service's state, models and ledger."""
        return self.root / "service"

    @property
    def page(self) -> Path:
        """The analyst's page's cases."""
        return self.root / "page"

    @property
    def points(self) -> Path:
        """Line protocol, where there is no InfluxDB."""
        return self.root / "points.line"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def programs(self) -> Path:
        """Where the demo's own processes work, and are recorded."""
        return self.root / "programs"

    @property
    def _origin(self) -> Path:
        return self.root / "origin.json"

    @property
    def _mark(self) -> Path:
        return self.root / "demo.lock"

    @contextmanager
    def held(self) -> Iterator[None]:
        """The folder, while no other demo uses it. Raises DemoError where one does, or where others' files are in it."""
        if self.root.is_dir() and any(self.root.iterdir()) and not self._mark.exists():
            raise DemoError(
                f"--data has to be a folder of the demo's own, but {self.root} has other files: name another."
            )
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with FileLock(self._mark, timeout=0):
                yield
        except Timeout:
            raise DemoError(
                f"Another demo runs in {self.root}: end it, or give this one a folder with --data."
            ) from None
        except (FileExistsError, PermissionError, NotADirectoryError) as error:
            raise DemoError(f"--data has to be a folder that can be written to: {error}.") from None

    def begin(self, origin: Origin) -> bool:
        """Empties the folder for a run; True where history and model of an earlier run are kept, because they serve again."""
        kept = self._read_origin() == origin
        servers = self.root / "kafka", self.root / "influxdb"
        for path in (*servers, self.checkpoint, self.service, self.page, self.logs, self.programs):
            shutil.rmtree(path, ignore_errors=True)
        for file in self.root.glob(f"{self.points.name}*"):
            file.unlink()
        if not kept:
            self._origin.unlink(missing_ok=True)
            for path in (self.history, self.state, self.registry):
                shutil.rmtree(path, ignore_errors=True)
        for path in (self.logs, self.programs, self.registry):
            path.mkdir(exist_ok=True)
        return kept

    def prepared(self, origin: Origin) -> None:
        """Notes that history and model are complete."""
        self._origin.write_bytes(msgspec.json.format(msgspec.json.encode(origin)))

    def _read_origin(self) -> Origin | None:
        try:
            return msgspec.json.decode(self._origin.read_bytes(), type=Origin)
        except (FileNotFoundError, ValueError):  # text that is not UTF-8 too
            return None
