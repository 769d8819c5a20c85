"""MLflow is killed at each step of `train --promote` once the model is fitted: one command then brings it to the end."""

import re
import shlex
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from ml.commands import train as command
from ml.registry.model_store import ModelStore
from ml.training.train import Trained, train
from stack.mlflow import MLflow
from tests.ml.conftest import Run

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

Step = tuple[str, str]


def step_of(request: requests.PreparedRequest) -> Step:
    """The method and what is asked for, without ids and file names."""
    path = re.sub(r"/(\d+|(?=[^/]*\d)[\w-]{10,})(?=/|$)", "/ID", str(urlsplit(request.url or "").path))
    return str(request.method), re.sub(r"(/mlflow-artifacts/.*)/[^/]+$", r"\1/FILE", path)


class Killer:
    """Counts the requests that this process sends, and kills a server before the first of one step."""

    def __init__(self, server: MLflow, monkeypatch: pytest.MonkeyPatch) -> None:
        self.steps: list[Step] = []
        self.at: Step | None = None
        self.killed = False
        send = requests.Session.send

        def counted(session: requests.Session, request: requests.PreparedRequest, **options: object) -> object:
            step = step_of(request)
            self.steps.append(step)
            if step == self.at:
                self.killed = server.kill() or self.killed
            return send(session, request, **options)  # type: ignore[arg-type]

        monkeypatch.setattr(requests.Session, "send", counted)


def test_mlflow_killed_at_each_step_of_a_registration_costs_no_model(
    run: Run, history_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[Trained] = []
    coming: Step | None = None

    def train_once(*arguments: object) -> Trained:
        killer.steps.clear()  # what is asked before the fit costs no model
        killer.at = coming
        if not trained:
            trained.append(train(*arguments))  # type: ignore[arg-type]
        return trained[0]

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "train", train_once)
    server = MLflow(tmp_path / "mlflow")
    server.start()
    killer = Killer(server, monkeypatch)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.url)
    try:
        assert run("train", str(history_folder), "--promote")[0] == 0
        steps = list(dict.fromkeys(killer.steps))
        assert len(steps) > 8
        for number, coming in enumerate(steps):
            registry = ModelStore(server.url, f"cards-{number}")  # of which the registry knows nothing yet
            monkeypatch.setenv("SCORELINE_MODEL_NAME", registry.name)
            killer.killed = False
            status, _, err = run("train", str(history_folder), "--promote")
            assert (status, killer.killed) == (1, True), coming
            line = err.rstrip("\n").splitlines()[-1]
            assert line.startswith("error: "), err
            assert "Traceback" not in err
            found = re.search("`python -m ml (.*?)`", line)
            assert found is not None, (coming, line)
            killer.at = None
            server.start()
            assert run(*shlex.split(found[1]))[0] == 0, coming
            assert (registry.champion(), len(registry.models())) == (1, 1), coming
            again, kept = registry.load(1), trained[0]
            assert again.anomaly_score(kept.example).tolist() == kept.model.anomaly_score(kept.example).tolist()
    finally:
        server.stop()
