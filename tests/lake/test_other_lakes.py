"""Lakes that are damaged, or somebody else's: each command answers, or says in one clear line what is wrong."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from deltalake import write_deltalake
from typer.testing import CliRunner

from jobs.__main__ import app as jobs
from lake.__main__ import app
from lake.place import LakeUnusable, Place
from lake.rows import SCORES
from tests.lake.written import some_features, write_labels, write_scores

runner = CliRunner()

COMMANDS = (
    ["status"],
    ["sql", "select count(*) from scores"],
    ["training-set", "--from", "1970-01-01", "--to", "2030-01-01", "--out", "training-set.parquet"],
    ["verify"],
    ["quality"],
    ["review", "--from", "1970-01-01", "--to", "2030-01-01"],
    ["compact"],
    ["retain", "--days", "1"],
    ["clean"],
)


def small_lake(folder: Path) -> Path:
    write_scores(Place(str(folder)), np.arange(5) * 60_000, some_features(5, 1))
    write_labels(Place(str(folder)), np.arange(2), np.arange(2) * 60_000, ["analyst"] * 2, [True, False])
    return folder


def first_entry(folder: Path) -> Path:
    return folder / SCORES / "_delta_log" / "00000000000000000000.json"


def half_of_the_log(folder: Path) -> None:
    entry = first_entry(small_lake(folder))
    entry.write_bytes(entry.read_bytes()[:20])


def log_of_zeros(folder: Path) -> None:
    first_entry(small_lake(folder)).write_bytes(bytes(100))


def empty_log(folder: Path) -> None:
    first_entry(small_lake(folder)).write_bytes(b"")


def another_table(folder: Path) -> None:
    write_deltalake(str(folder / SCORES), pa.table({"a": [1, 2], "day": ["2020-01-01", "2021-01-01"]}))


def nothing(folder: Path) -> None:
    pass


def a_file(folder: Path) -> None:
    folder.touch()


def link_to_nothing(folder: Path) -> None:
    folder.symlink_to(folder.parent / "nowhere")


@pytest.mark.parametrize(
    "make", [half_of_the_log, log_of_zeros, empty_log, another_table, nothing, a_file, link_to_nothing]
)
def test_a_folder_that_is_no_whole_lake_is_one_clear_line_of_each_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], None]
) -> None:
    monkeypatch.chdir(tmp_path)
    lake = tmp_path / "lake"
    make(lake)
    before = sorted(tmp_path.rglob("*.parquet"))
    explaining = runner.invoke(jobs, ["explain", "T1"], env={"SCORELINE_LAKE": str(lake)})
    for done in [runner.invoke(app, [*command, "--lake", str(lake)]) for command in COMMANDS] + [explaining]:
        assert done.exit_code == 1
        assert isinstance(done.exception, SystemExit)
        assert done.stderr.startswith("error: ")
        assert done.stderr.count("\n") == 1
        assert str(lake) in done.stderr
        assert "<unknown>" not in done.stderr
    assert sorted(tmp_path.rglob("*.parquet")) == before
    assert make is not nothing or not lake.exists()


@pytest.mark.parametrize("name", ["a[1]", "a^b", "a|b", "a%20b", "a\\b", "a\tb"])
def test_a_path_that_delta_rs_cannot_address_is_refused_before_anything_is_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(LakeUnusable, match="the path of a lake can't have"):
        Place(str(tmp_path / name)).table(SCORES)


@pytest.mark.parametrize("name", ["a b", "lä#ke?", "it's", "{a}", "a:b", "100%", "a*"])
def test_any_other_path_holds_a_lake(tmp_path: Path, name: str) -> None:
    lake = small_lake(tmp_path / name)
    for command in (["compact"], ["retain", "--days", "100000"], ["clean", "--hours", "0"]):
        assert runner.invoke(app, [*command, "--lake", str(lake)]).exit_code == 0
    assert "5" in runner.invoke(app, ["sql", "select count(*) from scores", "--lake", str(lake)]).stdout


@pytest.mark.parametrize("reasons", ["{}", "no JSON", "[1]", '[{"feature": 1}]', '"x"'])
def test_reasons_of_another_form_cost_an_explanation_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reasons: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write_scores(Place("lake"), np.zeros(1, np.int64), some_features(1, 1), reasons=[reasons])
    done = runner.invoke(jobs, ["explain", "T0"], env={"SCORELINE_LAKE": "lake"})
    assert done.exit_code == 0
    assert f"  because: {reasons} (not as the job writes reasons)\n" in done.stdout
    assert "labels: none so far" in done.stdout


@pytest.mark.parametrize(
    "lacking", ["anomaly_score", "threshold", "partition", "model_digest", "event_time", "is_anomaly", "device_id"]
)
def test_a_score_without_a_value_is_explained_or_one_line_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lacking: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write_scores(Place("lake"), np.zeros(1, np.int64), some_features(1, 1), **{lacking: [None]})
    done = runner.invoke(jobs, ["explain", "T0", "--recompute"], env={"SCORELINE_LAKE": "lake"})
    assert done.exception is None or isinstance(done.exception, SystemExit)
    assert done.stdout.startswith("transaction T0\n")
    assert "not judged again" in done.stdout


def test_a_checkpoint_that_is_elsewhere_is_one_line_of_explain(tmp_path: Path) -> None:
    lake = small_lake(tmp_path / "lake")
    settings = {"SCORELINE_LAKE": str(lake), "SCORELINE_CHECKPOINT": "hdfs://there/checkpoint"}
    done = runner.invoke(jobs, ["explain", "T1"], env=settings)
    assert done.exit_code == 1
    assert done.stderr.startswith("error: ")
