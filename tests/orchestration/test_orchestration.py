"""The regular work run for real by Airflow and by Prefect, each in an environment of its own, on a small bank."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from lake.maintenance import figures
from lake.place import Place
from ml.features import DAY
from ml.registry.model_store import ModelStore
from settings import Settings
from tests.generator.test_pull import MAPPING, payment
from tests.lake.written import some_features, write_labels, write_scores
from tests.support.kafka import count_records
from tests.support.rest_service import Asked, Said, rest_service

pytestmark = pytest.mark.long
ROOT = Path(__file__).parents[2]
SECRET = "MARKED-SECRET"
A_DAY = 400
Runs = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A lake of a day in ten small files, with some labels."""
    place = Place(str(tmp_path / "lake"))
    time = np.sort(np.random.default_rng(5).integers(0, DAY, A_DAY))
    for part in np.array_split(np.arange(A_DAY), 10):
        write_scores(
            place,
            time[part],
            some_features(len(part), 1),
            offset=part,
            transaction_id=[f"T{number}" for number in part],
        )
    write_labels(place, np.arange(5), np.full(5, DAY // 2), ["chargeback"] * 5, [True] * 5)
    return place


def installed(orchestrator: str) -> Path:
    """The environment of an orchestrator, which make sets up where it is not there."""
    done = subprocess.run(
        ["make", "--no-print-directory", f".venv-{orchestrator}/installed.lock"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{orchestrator}'s libraries could not be installed: {done.stderr[-1000:]}"
    return ROOT / f".venv-{orchestrator}" / "bin"


@pytest.fixture(params=["airflow", "prefect"])
def runs(request: pytest.FixtureRequest, topics: Settings, place: Place, labelled_folder: Path, tmp_path: Path) -> Runs:
    """Runs DAGs or flows one after another, and gives what came of each; the keywords are environment variables."""
    name: str = request.param
    programs = installed(name)
    environment = os.environ | topics.environment()
    environment |= {
        "PYTHONPATH": str(ROOT / "orchestration"),
        "SCORELINE_COMMAND": f"{sys.executable} {ROOT / 'scoreline.py'}",
        "SCORELINE_FOLDER": str(tmp_path),
        "SCORELINE_LAKE": place.uri,
        "SCORELINE_HISTORY": str(labelled_folder),
        "SCORELINE_TRAIN_OPTIONS": "--budget 0.02",
        "SCORELINE_STEP_RETRIES": "1",
        "SCORELINE_STEP_RETRY_SECONDS": "0",
        "SCORELINE_PULL_AUTHORIZATION": SECRET,
        "AIRFLOW_HOME": str(tmp_path / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "orchestration"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "PREFECT_HOME": str(tmp_path / "prefect"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    }
    if name == "airflow":
        subprocess.run([programs / "airflow", "db", "migrate"], env=environment, capture_output=True, check=True)

    def run(*wanted: tuple[str, dict[str, str]], **changed: str) -> list[dict[str, Any]]:
        script = ROOT / "tests" / "orchestration" / f"{name}_runs.py"
        done = subprocess.run(
            [programs / "python", script, json.dumps(wanted)],
            env=environment | changed,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        assert SECRET not in done.stdout + done.stderr
        found: list[dict[str, Any]] = json.loads(
            [line for line in done.stdout.splitlines() if line.startswith("[{")][-1]
        )
        for each in found:
            each["log"] = done.stdout + done.stderr
        return found

    return run


def succeeded(run: dict[str, Any]) -> set[str]:
    """The tasks of a run that ended well at the first attempt, and were not passed over."""
    return {
        name
        for name, (state, attempts) in run["tasks"].items()
        if state.lower() in ("success", "completed") and attempts == 1
    }


def test_the_regular_work_is_done(runs: Runs, topics: Settings, place: Place, tmp_path: Path) -> None:
    file = tmp_path / "shop.yaml"
    file.write_text(yaml.safe_dump(MAPPING))

    def answer(asked: Asked) -> Said:
        assert asked["authorization"] == SECRET
        return Said(200, [payment(number) for number in range(50)])

    with rest_service(answer) as service:
        found = runs(
            ("retrain", {"then": "promote"}),
            ("retrain", {"then": "challenge"}),
            ("hourly", {}),
            ("nightly", {}),
            ("weekly", {}),
            ("pull", {"url": service.url, "mapping": str(file)}),
            SCORELINE_LAKE_DAYS="100000",
        )
    print(*(line for line in found[0]["log"].splitlines() if "ended with" in line or "FAILED" in line), sep="\n")
    promoted, challenged, hourly, nightly, weekly, pulled = found
    registry = ModelStore(topics.mlflow_tracking_uri)
    assert {alias: row.version for row in registry.models() for alias in row.aliases} == {
        "champion": 1,
        "challenger": 2,
    }
    assert [event.why for event in registry.events()] == ["retrained by the orchestrator"] * 2
    assert len(succeeded(promoted)) == len(succeeded(challenged)) == 3
    assert succeeded(hourly) == {"drift", "quality"}
    assert succeeded(nightly) == {"compact", "retain", "clean"}
    assert figures(place)[0].files == 1
    assert succeeded(weekly) >= {"data_quality", "backtest"}
    assert succeeded(pulled) == {"pull"}
    assert count_records(topics.kafka_bootstrap_servers, topics.transactions_topic) == 50
    assert not any(SECRET in text for run in found for text in run["rendered"])


def test_a_command_that_fails_is_tried_again_and_named_and_one_that_says_no_is_not(runs: Runs, tmp_path: Path) -> None:
    found = runs(
        ("nightly", {}),
        ("retrain", {"history": "--promote"}),
        ("pull", {"url": f"http://user:{SECRET.lower()}@127.0.0.1:1/x", "mapping": "paysim"}),
        SCORELINE_LAKE=str(tmp_path / "missing"),
    )
    assert [run["state"].lower() for run in found] == ["failed"] * 3
    nightly, retrain, pull = found
    assert nightly["tasks"]["compact"][1] == 2
    assert "`scoreline lake compact` ended with status 1: error: the lake" in nightly["log"]
    assert all(attempts <= 1 for _, attempts in [*retrain["tasks"].values(), *pull["tasks"].values()])
    assert "history can't be empty or begin with -, but it is '--promote'" in retrain["log"]
    assert "use SCORELINE_PULL_AUTHORIZATION" in pull["log"]
