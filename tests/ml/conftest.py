"""A trained model, an empty registry of its own for each test, and a small history."""

import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ml import __main__ as cli
from ml.arrays import Floats
from ml.detectors import Scorer
from ml.detectors.isolation_forest import IsolationForest
from ml.features import FEATURES
from ml.model import Model, usual_ranges
from ml.registry import tracking
from ml.registry.model_store import ModelStore
from ml.schema import TRANSACTION_ARROW
from ml.thresholds.budget import threshold_for_budget

HISTORY_ROWS = 6_000


def random_features(rows: int, seed: int = 0) -> Floats:
    """Features as a normal distribution makes them: (rows, len(FEATURES))."""
    return np.random.default_rng(seed).normal(size=(rows, len(FEATURES)))


def isolation_scorer(features: Floats, seed: int, trees: int = 100) -> Scorer:
    """An Isolation Forest that is fitted to features (n, F)."""
    return IsolationForest(trees).fit(features, np.zeros(len(features), np.bool_), seed)


@pytest.fixture(scope="session")
def features() -> Floats:
    """The rows that `model` was fitted to."""
    return random_features(5_000)


@pytest.fixture(scope="session")
def model(features: Floats) -> Model:
    """A model that is not registered."""
    scorer = isolation_scorer(features, seed=1)
    blind = Model("scoreline", 0, scorer, 0.5, FEATURES, usual_ranges(features), 0.005)
    return replace(blind, threshold=threshold_for_budget(blind.anomaly_score(features), 0.005))


@pytest.fixture(scope="session")
def small_model(model: Model, features: Floats) -> Model:
    """A model of few trees, which are registered in a fraction of the time."""
    return replace(model, scorer=isolation_scorer(features, 0, trees=3))


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sqlite file with MLflow's tables in it, which take MLflow seconds to make."""
    file = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    tracking.client(f"sqlite:///{file}").search_registered_models()
    return file


@pytest.fixture
def registry(tmp_path: Path, empty_database: Path) -> ModelStore:
    """An empty registry over a sqlite file of its own."""
    file = tmp_path / "registry" / "mlflow.db"
    file.parent.mkdir()
    shutil.copy(empty_database, file)
    return ModelStore(f"sqlite:///{file}")


@pytest.fixture(scope="session")
def transactions() -> pa.Table:
    """Two weeks of some 150 customers, sorted by time, a tenth of them without a place."""
    random = np.random.default_rng(7)
    times = 1_750_000_000_000 + np.sort(random.integers(0, 14 * 86_400_000, HISTORY_ROWS))

    def names(prefix: str, most: int) -> list[str]:
        return [f"{prefix}{i}" for i in random.integers(0, most, HISTORY_ROWS)]

    placed = random.random(HISTORY_ROWS) < 0.9
    columns = {
        "transaction_id": [f"t{i}" for i in range(HISTORY_ROWS)],
        "event_time": pa.array(times, pa.timestamp("ms", tz="UTC")),
        "customer_id": names("c", 150),
        "amount": np.round(random.gamma(2, 30, HISTORY_ROWS), 2),
        "currency": ["EUR"] * HISTORY_ROWS,
        "merchant_id": names("m", 400),
        "merchant_category": names("k", 20),
        "country": ["FR"] * HISTORY_ROWS,
        "latitude": pa.array(random.normal(48, 1, HISTORY_ROWS), mask=~placed),
        "longitude": pa.array(random.normal(2, 1, HISTORY_ROWS), mask=~placed),
        "channel": ["chip"] * HISTORY_ROWS,
        "device_id": [None] * HISTORY_ROWS,
    }
    return pa.table(columns, schema=TRANSACTION_ARROW)


@pytest.fixture(scope="session")
def history_folder(tmp_path_factory: pytest.TempPathFactory, transactions: pa.Table) -> Path:
    """The transactions in two Parquet files."""
    folder = tmp_path_factory.mktemp("history")
    pq.write_table(transactions[:2_500], folder / "part-0.parquet")
    pq.write_table(transactions[2_500:], folder / "part-1.parquet")
    return folder


@pytest.fixture
def labelled_folder(history_folder: Path, transactions: pa.Table, tmp_path: Path) -> Path:
    """The history, 2 % of whose transactions are fraud."""
    folder = tmp_path / "labelled"
    shutil.copytree(history_folder, folder)
    rows = np.flatnonzero(np.random.default_rng(3).random(transactions.num_rows) < 0.02)
    some = transactions.take(rows)
    columns = {"transaction_id": some["transaction_id"], "customer_id": some["customer_id"]}
    labels = pa.table({**columns, "is_fraud": [True] * len(rows), "label_time": some["event_time"]})
    pq.write_table(labels, folder / "labels.parquet")
    return folder


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(registry: ModelStore, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Calls the command line with arguments, on a registry of its own; returns exit status, output, errors."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", registry.uri)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["python -m ml", *arguments])
        with pytest.raises(SystemExit) as end:
            cli.main()
        return int(end.value.code or 0), *capsys.readouterr()

    return run
