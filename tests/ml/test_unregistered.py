"""What was trained is kept on disk for as long as it is not registered, and one command registers it later."""

import re
import shlex
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from ml.arrays import Floats
from ml.commands import train as train_commands
from ml.model import Model
from ml.registry import model_store as registries
from ml.registry import tracking, unregistered
from ml.registry.model_store import ModelStore, NoChampion, RegistryUnavailable
from ml.training.train import Trained, train
from stack.mlflow import MLflow
from tests.ml.conftest import Run


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


def error_of(result: tuple[int, str, str]) -> str:
    """The last line on standard error of a command that failed; bars of progress go before."""
    status, out, err = result
    assert (status, out) == (1, "")
    assert "Traceback" not in err
    line = err.rstrip("\n").splitlines()[-1]
    assert line.startswith("error: ")
    return line


def command_in(line: str) -> list[str]:
    """The command that an error names, without `python -m ml`."""
    found = re.search("`python -m ml (.*)`", line)
    assert found is not None, line
    return shlex.split(found[1])


@pytest.mark.parametrize("with_state", [False, True])
def test_a_registry_that_ends_during_the_fit_costs_no_model(
    run: Run,
    history_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    with_state: bool,
) -> None:
    server = MLflow(tmp_path / "mlflow")
    server.start()
    trained: list[Trained] = []

    def train_and_stop(*arguments: object) -> Trained:
        trained.append(train(*arguments))  # type: ignore[arg-type]
        server.stop()
        return trained[0]

    try:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", server.url)
        monkeypatch.setattr(train_commands, "train", train_and_stop)
        flags = ["--state-out", str(tmp_path / "out" / "state")] * with_state
        said = error_of(run("train", str(history_folder), "--promote", *flags))
        assert "the model is trained, but not registered: the model registry" in said
        command = command_in(said)
        assert command[0] == "register"
        assert command[2:] == ["--promote"]
        parent = tmp_path / "out" / "models" if with_state else Path(".scoreline/models")
        assert [file.name for file in parent.iterdir()] == [Path(command[1]).name]
        assert with_state == (tmp_path / "out" / "state").exists()
        server.start()
        status, out, _ = run(*command)
        assert status == 0
        assert out.splitlines()[0].startswith("version 1 of scoreline: threshold")
        registry = ModelStore(server.url)
        assert registry.champion() == 1
        again, row = registry.load(1), registry.models()[0]
    finally:
        server.stop()
    rows = trained[0].example
    assert again.anomaly_score(rows).tolist() == trained[0].model.anomaly_score(rows).tolist()
    assert (again.threshold, again.reference) == (trained[0].model.threshold, trained[0].model.reference)
    assert again.digest.startswith(Path(command[1]).name.split("-")[-1])  # the same model, by what it is
    assert row.params["detector"] == "isolation_forest"
    assert row.metrics["alert_share_check_part"] == trained[0].metrics["alert_share_check_part"]


def test_the_registry_is_asked_before_anything_is_folded(
    run: Run, history_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setattr(train_commands, "train", lambda *_: pytest.fail("it was trained"))
    assert "does not answer (no connection)" in error_of(run("train", str(history_folder)))


def test_nothing_is_left_on_disk_of_a_model_that_was_registered(run: Run, history_folder: Path, folder: Path) -> None:
    assert run("train", str(history_folder))[0] == 0
    assert list(folder.rglob("MLmodel")) == []


@pytest.mark.parametrize("name", ["MLmodel", "data/arrays/scorer.npz", "training.json"])
def test_what_is_damaged_or_no_model_is_not_registered(
    run: Run, registry: ModelStore, small_model: Model, features: Floats, tmp_path: Path, name: str
) -> None:
    from datetime import UTC, datetime

    kept = unregistered.keep(
        unregistered.Unregistered(small_model, features, {"rows": 5}, {}), tmp_path / "kept", datetime.now(UTC)
    )
    (kept / name).write_bytes(b"{}")
    assert re.search(r"the model in .* is not registered: its (file|metadata)", error_of(run("register", str(kept))))
    assert "there is no such folder" in error_of(run("register", str(tmp_path / "nothing")))
    assert registry.models() == []


def test_a_model_folder_of_mlflow_itself_can_be_registered(
    run: Run, registry: ModelStore, small_model: Model, features: Floats, tmp_path: Path
) -> None:
    registered = registry.register(small_model, features)
    files = tracking.download(registry.uri, registry.name, 1, tmp_path / "downloaded")
    assert run("register", files.as_uri())[0] == 0
    again = registry.load(2)
    assert again.digest == registered.digest
    assert again.anomaly_score(features[:9]).tolist() == small_model.anomaly_score(features[:9]).tolist()
    with pytest.raises(NoChampion):
        registry.champion()


@pytest.mark.parametrize("place", ["s3://bucket/history", "s3a://bucket/history", "hdfs:///history"])
@pytest.mark.parametrize("command", ["train", "evaluate", "register"])
def test_a_place_that_is_not_on_this_machine_is_refused_in_words(run: Run, command: str, place: str) -> None:
    assert f"but it is '{place}': copy it to this machine" in error_of(run(command, place))


def test_state_out_has_to_be_on_this_machine_too(run: Run, history_folder: Path) -> None:
    said = error_of(run("train", str(history_folder), "--state-out", "s3a://bucket/state"))
    assert "--state-out has to be a path on this machine" in said
    assert not list(Path().iterdir())


# A registry's file that another program has locked


@pytest.fixture
def locked(registry: ModelStore) -> Iterator[sqlite3.Connection]:
    tracking.client.cache_clear()
    with closing(sqlite3.connect(registry.uri.removeprefix("sqlite:///"), check_same_thread=False)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        yield connection


@pytest.mark.parametrize(
    "command", [["models"], ["promote", "1"], ["rollback"], ["train", "HISTORY"], ["register", "MODEL"]]
)
@pytest.mark.usefixtures("locked")
def test_a_file_that_stays_locked_is_named_in_one_line(
    run: Run,
    registry: ModelStore,
    history_folder: Path,
    small_model: Model,
    features: Floats,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: list[str],
) -> None:
    from ml.registry import serialization

    monkeypatch.setattr(tracking, "_LOCKED_SECONDS", 0.5)
    serialization.save(small_model, features, tmp_path / "model")
    places = {"HISTORY": str(history_folder), "MODEL": str(tmp_path / "model")}
    said = error_of(run(*(places.get(word, word) for word in command)))
    assert f"{registry.uri.removeprefix('sqlite:///')} is locked by another program" in said
    assert "end that program" in said
    assert not any(word in said for word in ("SQL", "SELECT", "PRAGMA", "sqlalche", "OperationalError"))


def test_a_lock_that_goes_is_waited_for(run: Run, locked: sqlite3.Connection) -> None:
    release = threading.Timer(2.0, locked.rollback)
    release.start()
    begin = time.monotonic()
    assert run("models")[0] == 0
    assert time.monotonic() - begin >= 1.9
    release.join()


def test_a_lock_that_comes_while_the_registry_is_in_use_is_named_too(
    registry: ModelStore, small_model: Model, features: Floats, capfd: pytest.CaptureFixture[str]
) -> None:
    """MLflow itself waits for 20 s then."""
    registry.register(small_model, features)
    with closing(sqlite3.connect(registry.uri.removeprefix("sqlite:///"))) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        with pytest.raises(RegistryUnavailable, match=r"mlflow\.db is locked by another program") as caught:
            registry.champion()
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")
    with pytest.raises(NoChampion):
        registry.champion()


def test_secrets_of_an_address_are_not_shown(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:hidden@127.0.0.1:{port}")
        for command in (["models"], ["promote", "1"], ["rollback"]):
            said = error_of(run(*command))
            assert "hidden" not in said
            assert f"http://127.0.0.1:{port} does not answer" in said


def test_whatever_mlflow_refuses_is_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow.exceptions import MlflowException

    def refuse(*_: object) -> None:
        raise MlflowException("it is forbidden\nand more of it", error_code=7)

    monkeypatch.setattr(registries.ModelStore, "_versions", refuse)
    assert error_of(run("models")).endswith("refuses: it is forbidden")
