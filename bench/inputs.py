"""What every run is fed: a history, the state and the model that come of it, and the transactions that follow it."""

import hashlib
import shutil
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
from filelock import FileLock
from rich.progress import Progress

from bench.programs import PYTHON, ROOT, Running
from ml.registry.model_store import ModelStore
from stack import cache

SEED: Final = 7
LIVE_START: Final = datetime(2024, 6, 3, 8, tzinfo=UTC)

ENCODED: Final = pa.schema([("key", pa.binary()), ("value", pa.binary())])
"""A record for Kafka: a row of the file of transactions."""

_SOURCES: Final = ("generator/**/*.py", "ml/*.py", "ml/detectors/*.py", "ml/scorers/*.py")
_MOST_HISTORY: Final = 300_000
_MOST_DAYS: Final = 14


@dataclass(frozen=True)
class Input:
    """A folder with all that the runs of so many customers need. judged_by: ends the names of the champion's folders, of
    which there may be more than one."""

    customers: int
    folder: Path
    judged_by: str = ""

    @property
    def history(self) -> Path:
        return self.folder / "history"

    @property
    def state(self) -> Path:
        """Parquet (customer_id, state): every customer that the history has."""
        return self._own("state")

    @property
    def registry_uri(self) -> str:
        """The MLflow registry whose champion was trained on the history."""
        return f"sqlite:///{self.registry / 'mlflow.db'}"

    @property
    def registry(self) -> Path:
        """The registry's folder."""
        return self._own("mlflow")

    @property
    def model(self) -> Path:
        """The champion for peers, as `bench.peer_model` writes it."""
        return self.folder / "model.joblib"

    @property
    def transactions(self) -> Path:
        """Arrow IPC file of `ENCODED`, as `bench.encoded` writes it."""
        return self.folder / "transactions.arrow"

    def _own(self, name: str) -> Path:
        return self.folder / (f"{name}-{self.judged_by}" if self.judged_by else name)


def history_days(customers: int) -> int:
    """Simulated days of history: two weeks of few customers, one day of a million.

    A customer's state has the same size however much of a past it holds, and the fold's time does not depend on it
    beyond the first 20 transactions.

    >>> history_days(10_000), history_days(100_000), history_days(1_000_000)
    (14, 3, 1)
    """
    return max(1, min(_MOST_DAYS, _MOST_HISTORY // customers))


def prepare(customers: int, progress: Progress) -> Input:
    """History, state and model of so many customers; made once and kept in the cache until the code changes that makes them."""
    folder = cache.folder() / "bench" / str(customers)
    folder.mkdir(parents=True, exist_ok=True)
    made, complete, sources = Input(customers, folder), folder / "complete", _sources()
    with FileLock(folder.with_suffix(".lock")):
        if not complete.exists() or complete.read_text() != sources:
            shutil.rmtree(folder)
            folder.mkdir()
            _make_history_and_model(made, progress)
            complete.write_text(sources)
    return made


def _sources() -> str:
    digest = hashlib.sha256()
    for pattern in _SOURCES:
        for path in sorted(ROOT.glob(pattern)):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _make_history_and_model(made: Input, progress: Progress) -> None:
    size = ["--customers", str(made.customers), "--days", str(history_days(made.customers)), "--seed", str(SEED)]
    more = ["--live-start", LIVE_START.isoformat()]
    _run("history", ["generator", "history", "--out", str(made.history), *size, *more], made, {}, progress)
    trained(made, progress)


def trained(made: Input, progress: Progress, *more: str) -> None:
    """Train the champion of an input on its history, into its registry and its state. more: flags for the training."""
    made.registry.mkdir(exist_ok=True)
    command = ["ml", "train", str(made.history), "--promote", "--no-report", "--state-out", str(made.state), *more]
    _run("training", command, made, {"MLFLOW_TRACKING_URI": made.registry_uri}, progress)


def _run(name: str, command: list[str], made: Input, environment: dict[str, str], progress: Progress) -> None:
    task = progress.add_task(f"{name} of {made.customers:,} customers", total=None)
    program = Running(name, made.folder / "programs", [*PYTHON, *command], environment)
    try:
        program.wait()
    finally:
        program.end(1.0)
    progress.update(task, total=1, completed=1)


def two_versions(made: Input, folder: Path, name: str) -> ModelStore:
    """A registry NAME.db in a folder: version 1 is the input's champion and its own, version 2 nearly the same model."""
    registry = ModelStore(f"sqlite:///{folder / name}.db", "scoreline", "champion")
    own = ModelStore(made.registry_uri, "scoreline", "champion")
    model = own.load(own.champion())
    for threshold in (model.threshold, model.threshold * 0.99):
        registry.register(replace(model, threshold=threshold), np.zeros((3, len(model.features))))
    registry.promote(1)
    return registry
