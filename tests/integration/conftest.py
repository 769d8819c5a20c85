"""A Spark session that all integration tests of a process share, and a trained model in a registry of its own."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from jobs import detect
from jobs.runtime import file_systems
from jobs.runtime.session import CONFIGURATION, LOCAL
from jobs.runtime.supervisor import Gate
from ml import features, model
from ml.detectors import DETECTORS
from ml.features.available import available
from ml.features.customers import CustomerTable
from ml.model import Model
from ml.registry.model_store import ModelStore
from ml.segments import segment_name
from ml.thresholds.budget import threshold_for_budget
from ml.thresholds.reference import Reference
from settings import Settings
from stack.jars import connector_jars
from tests.integration.application import Application
from tests.integration.traffic import events_of, traffic


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    os.environ["PYSPARK_PYTHON"] = sys.executable
    builder = SparkSession.builder.master("local[4]").appName("tests").config("spark.ui.enabled", "false")
    local_disk = {file_systems.MANAGER: file_systems.LOCAL}
    for name, value in (CONFIGURATION | LOCAL | local_disk).items():
        builder = builder.config(name, value)
    jars = ",".join(str(jar) for jar in connector_jars())
    session = builder.config("spark.jars", jars).getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()


def trained(budget: float, seed: int = 1) -> tuple[Model, np.ndarray]:
    """A model of the traffic that these tests send, not yet registered, and the features that it was fitted to."""
    history = traffic(20_000, customers=400, seed=99)
    rows = CustomerTable().fold(pa.array([t.customer_id for t in history]), events_of(history)).features
    scorer = DETECTORS["isolation_forest"].fit(rows, np.zeros(len(rows), np.bool_), seed)
    unjudged = Model("scoreline", 0, scorer, 0.5, features.FEATURES, model.usual_ranges(rows), budget)
    scores = unjudged.anomaly_score(rows)
    threshold = threshold_for_budget(scores, budget)
    segments = np.array([segment_name(t.channel, t.merchant_category) for t in history], object)
    return replace(
        unjudged, threshold=threshold, reference=Reference.from_scores(scores, segments, threshold, budget)
    ), rows


@pytest.fixture(scope="session")
def registry_template(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Model]]:
    """A registry of two versions, of which the first is the champion: (its folder, the models)."""
    folder = tmp_path_factory.mktemp("registry")
    registry = ModelStore(f"sqlite:///{folder / 'mlflow.db'}", "scoreline", "champion")
    models = [registry.register(*trained(budget, seed)) for budget, seed in ((0.02, 1), (0.05, 2))]
    registry.promote(1)
    return folder, models


@pytest.fixture
def models(registry_template: tuple[Path, list[Model]]) -> list[Model]:
    """The models of the registry that `settings` names: versions 1 (the champion) and 2."""
    return registry_template[1]


@pytest.fixture
def settings(topics: Settings, registry_template: tuple[Path, list[Model]], tmp_path: Path) -> Settings:
    """Settings of one test alone, with a champion in its registry."""
    shutil.copy(registry_template[0] / "mlflow.db", tmp_path / "mlflow.db")  # its artifacts stay where they are
    return topics


@pytest.fixture
def registry(settings: Settings) -> ModelStore:
    return ModelStore(settings.mlflow_tracking_uri, settings.model_name, settings.model_alias)


@pytest.fixture
def by_profiles(registry: ModelStore) -> int:
    """A champion that judges by profiles too."""
    random = np.random.default_rng(5)
    rows = random.normal(size=(4_000, len(available())))
    scorer = DETECTORS["isolation_forest"].fit(rows, np.zeros(len(rows), np.bool_), 1)
    judged = Model("scoreline", 0, scorer, 0.5, available(), model.usual_ranges(rows), 0.02)
    threshold = float(np.quantile(scorer.anomaly_score(rows), 0.6))
    version = registry.register(replace(judged, threshold=threshold), rows).version
    registry.promote(version)
    return version


@pytest.fixture
def detect_all(spark: SparkSession) -> Iterator[Callable[..., None]]:
    """Runs the detection query until it has dealt with all that its topic holds."""
    gates: list[Gate] = []

    def run(settings: Settings, **configuration: str) -> None:
        gates.append(Gate())
        for name, value in {"spark.sql.shuffle.partitions": str(settings.state_partitions), **configuration}.items():
            spark.conf.set(name, value)
        query = detect.start(spark, settings, gates[-1])
        try:
            query.processAllAvailable()
        finally:
            query.stop()
            gates[-1].close()
            for name in configuration:
                spark.conf.unset(name)

    yield run
    for gate in gates:
        gate.close()


@pytest.fixture
def start() -> Iterator[Callable[..., Application]]:
    """Starts applications; those that still run at the end of the test are killed."""
    running: list[Application] = []

    def begin(settings: Settings, *flags: str) -> Application:
        running.append(Application(settings, *flags))
        return running[-1]

    yield begin
    for application in running:
        application.__exit__(None, None, None)
