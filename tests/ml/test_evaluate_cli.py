"""`python -m ml evaluate`, as a person calls it on anybody's history."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from rich.console import Console

import ml.__main__ as cli
from messaging import reader
from ml.arrays import Floats
from ml.commands import common
from ml.model import Model
from ml.registry.model_store import ModelStore
from tests.ml.evaluation_cases import rows, write_history, write_labels, write_transactions

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("history")
    write_history(path)
    return path


@pytest.fixture
def run(registry: ModelStore, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Calls the command line with arguments; returns exit status, output, errors."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", registry.uri)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["python -m ml", "evaluate", *arguments])
        with pytest.raises(SystemExit) as end:
            cli.main()
        return int(end.value.code or 0), *capsys.readouterr()

    return run


def test_every_detector_is_judged_and_the_last_line_is_json(run: Run, folder: Path, tmp_path: Path) -> None:
    status, out, err = run(str(folder), "--budget", "0.02", "--report", str(tmp_path / "report.json"))
    assert status == 0
    header, *lines = out.splitlines()
    assert header.split("\t")[:3] == ["detector", "AUC", "average precision"]
    last = json.loads(lines[-1])
    assert last["isolation_forest"]["auc"] > 0.9
    assert set(last["scenarios"]) == {"theft"}
    report = json.loads((tmp_path / "report.json").read_bytes())
    assert report["isolation_forest"]["figures"]["auc"]["value"] == last["isolation_forest"]["auc"]
    assert "folding transactions" in err


def test_a_registered_model_is_judged_with_its_own_threshold(
    run: Run, registry: ModelStore, model: Model, features: Floats, folder: Path
) -> None:
    registry.register(model, features)
    status, out, _ = run(str(folder), "--model", "1")
    assert status == 0
    assert list(json.loads(out.splitlines()[-1])) == ["scoreline version 1", "scenarios"]


def test_converted_data_without_labels_campaigns_or_scenarios_is_judged_too(run: Run, tmp_path: Path) -> None:
    made, truth = rows(), tmp_path / "truth.parquet"
    write_transactions(tmp_path, made)
    write_labels(truth, made)
    pq.write_table(pq.read_table(truth).drop_columns(["source", "scenario", "campaign"]), truth)
    status, out, _ = run(str(tmp_path), "--detector", "isolation_forest", "--budget", "0.02")
    last = json.loads(out.splitlines()[-1])
    assert status == 0
    assert last["scenarios"] == {}
    assert np.isfinite(last["isolation_forest"]["average_precision"])


def test_in_a_terminal_the_tables_are_drawn(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(common, "out", Console(force_terminal=True, width=200, highlight=False))
    out = run(str(folder), "--detector", "isolation_forest")[1]
    assert "\t" not in out
    assert "scenarios, by isolation_forest" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--detector", "oracle"), "--detector is one of isolation_forest, "),
        (("--budget", "5"), "the alert budget is a share of the traffic"),
        (("--scores", "scores", "--bootstrap-servers", "127.0.0.1:1"), "the topic scores can't be read from Kafka"),
    ],
)
def test_what_cannot_be_judged_is_one_line(
    run: Run, folder: Path, arguments: tuple[str, ...], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "ANSWER_SECONDS", 1.0)
    status, _, err = run(str(folder), *arguments)
    assert status == 1
    assert f"error: {message}" in err.splitlines()[-1]


def test_the_command_prints_ours_beside_what_was_published(run: Run, folder: Path, tmp_path: Path) -> None:
    wanted = ("--protocol", "handbook", "--fit-end", "2026-03-16", "--seeds", "2", "--detector", "isolation_forest")
    status, out, _ = run(str(folder), *wanted, "--report", str(tmp_path / "report.json"))
    assert status == 0
    lines = out.splitlines()
    assert "mean of 2 seeds" in lines[0]
    assert lines[1].split("\t") == ["detector", "AUC", "average precision", "Card Precision@100"]
    assert [line.split("\t")[0] for line in lines[2:5]] == [
        "isolation_forest",
        "  published: isolation_forest",
        "(perfect)",
    ]
    last = json.loads(lines[-1])
    assert (last["protocol"], last["seeds"]) == ("handbook", 2)
    assert last["isolation_forest"]["auc"] > 0.9
    report = json.loads((tmp_path / "report.json").read_bytes())
    figure = report["detectors"]["isolation_forest"]["figures"]["auc"]
    assert figure["value"] == last["isolation_forest"]["auc"]
    assert figure["low"] <= figure["value"] <= figure["high"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--seeds", "2"), "--seeds belongs to --protocol"),
        (("--fit-days", "42"), "--fit-days belongs to --protocol"),
        (("--protocol", "handbook", "--fit-days", "0"), "fit_days has to be at least 1"),
        (("--protocol", "handbook", "--label-delay-days", "1.5"), "a delay of whole days, not 1.5"),
        (("--protocol", "handbook", "--model", "1"), "leave --model and --scores out"),
    ],
)
def test_options_that_contradict_each_other_are_refused(
    run: Run, folder: Path, options: tuple[str, ...], words: str
) -> None:
    status, _, err = run(str(folder), *options)
    assert status == 1
    assert words in err
