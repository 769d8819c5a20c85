"""The peers do the same work as Scoreline: the same features, the same scores, the same records and points."""

import doctest
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import joblib
import msgspec
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sklearn.ensemble import IsolationForest
from sklearn.pipeline import Pipeline

from bench.peers import common
from bench.peers import features as plain
from bench.peers.features import Customer
from detection import message_parsing
from ml import features
from ml.features import FEATURES
from ml.features.customers import Customers, identify
from ml.schema import CHANNELS, Transaction
from settings import Settings
from stack.local import Stack
from tests.integration.traffic import events_of, messages, send, traffic
from tests.sinks.database import Database
from tests.support.kafka import read_topic

ROOT = Path(__file__).parents[2]
QUIX_PYTHON = Path(os.environ.get("SCORELINE_QUIX_PYTHON", ROOT / ".venv-quix" / "bin" / "python"))
SENT = 400
# What the textbook leaves at its default, 200 partitions, takes a minute and says nothing more about the scores.
FEW_PARTITIONS = "--conf spark.sql.shuffle.partitions=2 --conf spark.ui.enabled=false pyspark-shell"


def as_parsed(transaction: Transaction) -> dict[str, Any]:
    return json.loads(msgspec.json.encode(transaction))  # type: ignore[no-any-return]


def folded(transactions: list[Transaction]) -> features.Folded:
    customers = Customers()
    return features.fold(
        customers.states, customers.locate(identify([t.customer_id for t in transactions])), events_of(transactions)
    )


@pytest.mark.parametrize("customers", [1, 40])
def test_the_peers_features_are_those_of_the_fold(customers: int) -> None:
    transactions = traffic(2_000, customers, seed=4)
    past: dict[str, Customer] = {}
    rows = [past.setdefault(t.customer_id, Customer()).add(as_parsed(t)) for t in transactions]
    np.testing.assert_allclose(np.array(rows), folded(transactions).features, rtol=1e-6, atol=1e-6)


TRANSACTIONS = st.builds(
    Transaction,
    transaction_id=st.integers(0, 30).map(str),
    event_time=st.integers(0, 3 * 86_400).map(lambda s: datetime(2026, 3, 2, tzinfo=UTC) + timedelta(seconds=s)),
    customer_id=st.just("C1"),
    amount=st.one_of(st.just(0.0), st.just(1e13), st.floats(0.01, 1e6)),
    merchant_id=st.none() | st.integers(0, 600).map(str),
    country=st.sampled_from([None, "FR", "BR"]),
    latitude=st.none() | st.floats(-90, 90),
    longitude=st.none() | st.floats(-180, 180),
    channel=st.sampled_from([None, *CHANNELS, "cheque"]),
    device_id=st.none() | st.integers(0, 5).map(str),
)


@hypothesis_settings(max_examples=40, deadline=None)
@given(st.lists(TRANSACTIONS, min_size=1, max_size=40))
def test_whatever_comes_a_peers_customer_agrees_with_the_fold_even_after_a_stay_in_a_state_store(
    transactions: list[Transaction],
) -> None:
    expected = folded(transactions)
    customer = Customer()
    for transaction, row, earlier in zip(transactions, expected.features, expected.duplicate_of, strict=True):
        got = customer.add(as_parsed(transaction))
        customer = Customer.from_state(json.loads(json.dumps(customer.to_state())))
        assert (got is None) == (earlier != features.NO_POSITION)
        if got is not None:
            np.testing.assert_allclose(got, row, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("module", [common, plain])
def test_the_examples_of_the_peers_modules_hold(module: ModuleType) -> None:
    failed, attempted = doctest.testmod(module)
    assert failed == 0 < attempted


@pytest.fixture(scope="module")
def model() -> dict[str, Any]:
    """What a peer's --model holds: a forest fitted to other customers, and a threshold that a fiftieth of them exceeds."""
    rows = pd.DataFrame(folded(traffic(5_000, customers=200, seed=99)).features, columns=list(FEATURES))
    pipeline = Pipeline([("forest", IsolationForest(random_state=1))]).fit(rows)
    threshold = float(np.quantile(-pipeline.score_samples(rows), 0.98))
    return {"pipeline": pipeline, "threshold": threshold, "features": list(FEATURES)}


def command(python: Path, peer: str, settings: Settings, folder: Path) -> list[str]:
    options = {
        "bootstrap-servers": settings.kafka_bootstrap_servers,
        "transactions": settings.transactions_topic,
        "scores": settings.scores_topic,
        "alerts": settings.alerts_topic,
        "influxdb-url": settings.influxdb_url,
        "influxdb-bucket": settings.influxdb_bucket,
        "influxdb-token": settings.influxdb_token.get_secret_value(),
        "model": str(folder / "model.joblib"),
        "checkpoint": str(folder / "peer"),
    }
    script = str(ROOT / "bench" / "peers" / f"{peer}.py")
    return [str(python), script, *(part for name, value in options.items() for part in (f"--{name}", value))]


def points_of(stack: Stack, settings: Settings) -> int:
    rows = Database(stack.influxdb, settings.influxdb_bucket.partition("/")[0]).query(
        "SELECT count(anomaly_score) AS n FROM transaction_score"
    )
    return rows[0]["n"] if rows else 0


def run_until_published(python: Path, peer: str, stack: Stack, settings: Settings, folder: Path) -> None:
    """Start a peer, wait until all its points are in InfluxDB, and stop it by SIGTERM."""
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(
            command(python, peer, settings, folder),
            cwd=folder,
            env=os.environ | {"PYSPARK_SUBMIT_ARGS": FEW_PARTITIONS},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + 150
        while points_of(stack, settings) < SENT:
            assert process.poll() is None, (folder / "output").read_text()[-3000:]
            assert time.monotonic() < deadline, (folder / "output").read_text()[-3000:]
            time.sleep(0.2)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0, (folder / "output").read_text()[-3000:]
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.mark.parametrize(
    ("peer", "python"),
    [
        ("plain_python", Path(sys.executable)),
        pytest.param("textbook_pyspark", Path(sys.executable), marks=pytest.mark.long),
        pytest.param(
            "quix_streams",
            QUIX_PYTHON,
            marks=pytest.mark.skipif(
                shutil.which(QUIX_PYTHON) is None, reason="needs an environment of its own: make .venv-quix"
            ),
        ),
    ],
)
def test_a_peer_scores_each_transaction_as_scoreline_does(
    peer: str, python: Path, stack: Stack, topics: Settings, model: dict[str, Any], tmp_path: Path
) -> None:
    joblib.dump(model, tmp_path / "model.joblib")
    send(topics, messages(traffic(SENT, customers=40, seed=6)))
    run_until_published(python, peer, stack, topics, tmp_path)

    servers = topics.kafka_bootstrap_servers
    sent = read_topic(servers, topics.transactions_topic)
    expected = folded([message_parsing.parse(record.value) for record in sent]).features
    anomaly_scores = -model["pipeline"].score_samples(pd.DataFrame(expected, columns=list(FEATURES)))
    records = {place(json.loads(record.value)): record for record in read_topic(servers, topics.scores_topic)}
    assert records.keys() == {(record.partition, record.offset) for record in sent}
    for record, row, anomaly_score in zip(sent, expected, anomaly_scores.tolist(), strict=True):
        written = records[record.partition, record.offset]
        score = json.loads(written.value)
        assert json.loads(record.value).items() <= score.items()
        assert written.key.decode() == score["customer_id"]
        assert score["kafka_time"] == record.timestamp
        assert list(score["features"]) == list(FEATURES)
        assert list(score["features"].values()) == pytest.approx(row, rel=1e-6, abs=1e-6)
        assert score["anomaly_score"] == pytest.approx(anomaly_score, abs=1e-6)
        assert score["threshold"] == model["threshold"]
        assert score["is_anomaly"] == (score["anomaly_score"] > model["threshold"])
    alerts = {place(json.loads(record.value)) for record in read_topic(servers, topics.alerts_topic)}
    assert alerts == {at for at, written in records.items() if json.loads(written.value)["is_anomaly"]} != set()


def place(score: dict[str, Any]) -> tuple[int, int]:
    return score["partition"], score["offset"]
