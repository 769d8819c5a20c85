"""`python -m ml`, as a person and a Makefile call it."""

import re
import socket
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from rich.console import Console

from ml.arrays import Floats
from ml.commands import common
from ml.features import CUSTOMER
from ml.features.currencies import default_rates
from ml.model import Model
from ml.registry import tracking
from ml.registry.model_store import ModelStore, NoChampion
from ml.registry.serialization import PLACE
from tests.ml.conftest import Run


def error_of(result: tuple[int, str, str]) -> str:
    """The one line that a failed command leaves."""
    status, out, err = result
    assert (status, out, err.count("\n")) == (1, "", 1)
    return err


def test_train_registers_promotes_and_writes_the_customers(
    run: Run, registry: ModelStore, history_folder: Path, tmp_path: Path
) -> None:
    status, out, err = run(
        "train",
        str(history_folder),
        "--promote",
        "--state-out",
        str(tmp_path / "state"),
        "--budget",
        "0.01",
        "--seed",
        "5",
    )
    assert status == 0
    assert re.match(
        r"version 1 of scoreline, isolation_forest: threshold 0\.\d+; flags \d\.\d+% of the last tenth", out
    )
    assert out.endswith("version 1 of scoreline is the champion now\n")
    assert re.search(r"folding transactions.*6000/6000", err)
    assert registry.champion() == 1
    assert registry.load(1).budget == 0.01
    assert registry.models()[0].params["seed"] == "5"
    states = pq.read_table(tmp_path / "state")
    assert states.num_rows == 150
    assert {len(state) for state in states["state"].to_pylist()} == {CUSTOMER.itemsize}
    assert set(states["currency_version"].to_pylist()) == {default_rates().version}


@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_rates_that_cannot_be_read_are_one_line(
    run: Run, history_folder: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("SCORELINE_CURRENCY_RATES", "nowhere.json")
    assert "nowhere.json should be a table of currency rates" in error_of(run(command, str(history_folder)))


def test_train_without_promote_leaves_the_champion_alone(run: Run, registry: ModelStore, history_folder: Path) -> None:
    assert run("train", str(history_folder))[0] == 0
    with pytest.raises(NoChampion):
        registry.champion()


def test_models_is_a_plain_table_in_a_pipe_and_a_drawn_one_in_a_terminal(
    run: Run, registry: ModelStore, model: Model, features: Floats, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.register(
        model, features, {"rows": 5_000, "customers": 70, "detector": "xgboost"}, {"alert_share_check_part": 0.0043}
    )
    registry.register(model, features)
    registry.promote(1)
    header, second, first = run("models")[1].splitlines()
    assert header.split("\t")[:4] == ["version", "alias", "detector", "trained (UTC)"]
    assert first.split("\t")[:3] + first.split("\t")[4:] == [
        *("1", "champion", "xgboost", "5,000", "70", "0.50%", f"{model.threshold:.4f}", "0.43%")
    ]
    assert second.split("\t")[:3] + second.split("\t")[4:] == [
        "2",
        "",
        "",
        "",
        "",
        "0.50%",
        f"{model.threshold:.4f}",
        "",
    ]
    monkeypatch.setattr(common, "out", Console(force_terminal=True, width=100, highlight=False))
    drawn = run("models")[1]
    assert "\t" not in drawn
    assert all(cell in drawn for cell in ("trained (UTC)", "champion", "5,000", "0.43%", f"{model.threshold:.4f}"))


def test_models_of_an_empty_registry_are_none(run: Run) -> None:
    assert run("models") == (
        0,
        "version\talias\tdetector\ttrained (UTC)\trows\tcustomers\tbudget\tthreshold\talerts\n",
        "",
    )


def test_promote_and_rollback(run: Run, registry: ModelStore, small_model: Model, features: Floats) -> None:
    for _ in range(2):
        registry.register(small_model, features)
    assert run("promote", "1") == (0, "version 1 of scoreline is the champion now\n", "")
    assert run("promote", "2") == (0, "version 2 of scoreline is the champion now\n", "")
    assert run("rollback") == (0, "version 1 of scoreline is the champion again\n", "")
    assert "no champion before this one" in error_of(run("rollback"))
    assert "version 9 is not promoted: there is no such version" in error_of(run("promote", "9"))


def test_a_broken_version_is_not_promoted(run: Run, registry: ModelStore, model: Model, features: Floats) -> None:
    registry.register(model, features)
    source = tracking.client(registry.uri).get_model_version_download_uri("scoreline", "1")
    Path(source.removeprefix("file://"), PLACE).write_bytes(b"")
    assert "version 1 is not promoted: its file scorer.npz can't be read" in error_of(run("promote", "1"))
    with pytest.raises(NoChampion):
        registry.champion()


def test_the_models_name_and_alias_are_settings(
    run: Run, registry: ModelStore, small_model: Model, features: Floats, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = ModelStore(registry.uri, "cards", "live")
    other.register(small_model, features)
    monkeypatch.setenv("SCORELINE_MODEL_NAME", "cards")
    monkeypatch.setenv("SCORELINE_MODEL_ALIAS", "live")
    assert run("promote", "1")[1] == "version 1 of cards is the live now\n"
    assert other.champion() == 1


def test_bad_input_is_one_line_and_status_1(run: Run, tmp_path: Path, history_folder: Path) -> None:
    assert "python -m generator history" in error_of(run("train", str(tmp_path / "nothing")))
    assert "between 0 and 1" in error_of(run("train", str(history_folder), "--budget", "5"))


def test_a_wrong_setting_is_one_line_that_names_it(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCORELINE_PUBLISH_SHARE", "7")
    status, out, err = run("models")
    assert (status, out) == (2, "")
    assert "--publish-share" in err


def test_with_mlflow_away_a_real_process_leaves_with_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{taken.getsockname()[1]}"
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        ended = subprocess.run(
            [sys.executable, "-m", "ml", "models"], capture_output=True, text=True, timeout=60, check=False
        )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith(f"error: the model registry {uri} does not answer (no connection); start it")
    assert "python -m stack run COMMAND" in ended.stderr
    assert ended.stderr.count("\n") == 1
