"""MLflow is killed at each step of `train --promote` once the model is fitted: one command then brings it to the end."""

import http.client
import re
import shlex
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
import urllib3

from ml.arrays import Floats
from ml.commands import train as command
from ml.model import Model
from ml.registry.model_store import ModelStore
from ml.training.train import Trained, train
from stack.mlflow import MLflow
from tests.ml.conftest import Run

pytestmark = pytest.mark.timeout(900)

Step = tuple[str, str]
CREATION: Step = ("POST", "/api/2.0/mlflow/model-versions/create")


def step_of(request: requests.PreparedRequest) -> Step:
    """The method and what is asked for, without ids and file names."""
    path = re.sub(r"/(\d+|(?=[^/]*\d)[\w-]{10,})(?=/|$)", "/ID", str(urlsplit(request.url or "").path))
    return str(request.method), re.sub(r"(/mlflow-artifacts/.*)/[^/]+$", r"\1/FILE", path)


class Killer:
    """Counts the requests that this process sends, and kills a server at one step: before the first request of it, or with
    `answered` when it has done what was asked, before the answer arrives."""

    def __init__(self, server: MLflow, monkeypatch: pytest.MonkeyPatch) -> None:
        self.steps: list[Step] = []
        self.at: Step | None = None
        self.answered = False
        self.kills = True  # else the answer alone is lost
        self.killed = False
        self._server = server
        self._here = threading.local()  # MLflow sends files side by side
        send, receive = requests.Session.send, urllib3.connection.HTTPConnection.getresponse

        def counted(session: requests.Session, request: requests.PreparedRequest, **options: object) -> object:
            self._here.step = step_of(request)
            self.steps.append(self._here.step)
            if not self.answered:
                self._strike()
            return send(session, request, **options)  # type: ignore[arg-type]

        def received(connection: urllib3.connection.HTTPConnection) -> object:
            answer = receive(connection)
            if self.answered and self._strike():
                connection.close()
                raise http.client.RemoteDisconnected("Remote end closed connection without response")
            return answer

        monkeypatch.setattr(requests.Session, "send", counted)
        monkeypatch.setattr(urllib3.connection.HTTPConnection, "getresponse", received)

    def _strike(self) -> bool:
        if self._here.step != self.at or self.killed:
            return False
        self.killed = not self.kills or self._server.kill()
        return True


@contextmanager
def running(folder: Path) -> Iterator[MLflow]:
    server = MLflow(folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def test_an_answer_that_is_lost_makes_no_second_version(
    small_model: Model, features: Floats, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(tmp_path / "mlflow") as server:
        killer = Killer(server, monkeypatch)
        killer.at, killer.answered, killer.kills = CREATION, True, False
        registry = ModelStore(server.url, "cards")
        model = registry.register(small_model, features)
        assert (killer.killed, model.version, len(registry.models())) == (True, 1, 1)
        assert registry.load(1).digest == model.digest
        assert registry.register(small_model, features).version == 2  # another registration, of the same model


@pytest.mark.long
@pytest.mark.parametrize("answered", [False, True])
def test_mlflow_killed_at_each_step_of_a_registration_costs_no_model(
    run: Run, history_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, answered: bool
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
    with running(tmp_path / "mlflow") as server:
        killer = Killer(server, monkeypatch)
        monkeypatch.setenv("MLFLOW_TRACKING_URI", server.url)
        assert run("train", str(history_folder), "--promote", "--no-report")[0] == 0
        steps = [step for step in dict.fromkeys(killer.steps) if not answered or step[0] != "GET"]
        assert CREATION in steps
        assert len(steps) > 8
        killer.answered = answered
        for number, coming in enumerate(steps):
            registry = ModelStore(server.url, f"cards-{number}")  # of which the registry knows nothing yet
            monkeypatch.setenv("SCORELINE_MODEL_NAME", registry.name)
            killer.killed = False
            status, _, err = run("train", str(history_folder), "--promote", "--no-report")
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
