"""Extras of a history are features in training and evaluation; in the job those that are declared."""

import json
import re
from dataclasses import replace
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from ml.dataset.history import History, HistoryError
from ml.features import FEATURES
from ml.features.available import available
from ml.features.declared import Extra
from ml.features.extras import filled, for_unknown
from ml.registry.model_store import ModelRefused, ModelStore
from ml.registry.packed import unpack
from tests.ml.conftest import Run
from tests.ml.evaluation_cases import write_history


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fraud that only the extra columns give away: extra_a is far off where it is fraud, and unknown in every tenth row."""
    path = tmp_path_factory.mktemp("extras")
    made = write_history(path)
    random = np.random.default_rng(5)
    far = np.array([8.0 if row["campaign"] else 0.0 for row in made])
    file = path / "transactions.parquet"
    table = pq.read_table(file)
    table = table.set_column(3, table.schema.field("amount"), pa.array(random.gamma(2, 20, len(made)).round(2)))
    known = random.random(len(made)) < 0.9
    for name, values in (("extra_a", random.normal(far)), ("extra_b", random.normal(size=len(made)))):
        table = table.append_column(name, pa.array(values, mask=~known))
    pq.write_table(table, file)
    return path


def average_precision(run: Run, *arguments: str) -> float:
    status, out, err = run("evaluate", *arguments)
    assert status == 0, err
    figures = json.loads(out.splitlines()[-1])
    return float(next(iter(figures.values()))["average_precision"])


def test_evaluation_uses_extra_columns_unless_told_not_to(run: Run, folder: Path) -> None:
    arguments = (str(folder), "--detector", "logistic_regression", "--budget", "0.02")
    with_extras, without = average_precision(run, *arguments), average_precision(run, *arguments, "--no-extras")
    assert with_extras > 0.7
    assert without < 0.6 * with_extras


DECLARATION = """
others = {lowest = 0, highest = 1, about = "not in the history"}
a = {lowest = -100, highest = 100, about = "far off where it is fraud"}
b = {lowest = -1, highest = 1, about = "noise", unknown = 0.25}
"""


@pytest.fixture
def declaration(tmp_path: Path) -> Path:
    file = tmp_path / "extras.toml"
    file.write_text(DECLARATION)
    return file


def test_a_model_with_undeclared_extras_can_be_evaluated_but_neither_promoted_nor_loaded_by_the_job(
    run: Run, registry: ModelStore, folder: Path
) -> None:
    assert run("train", str(folder), "--budget", "0.02")[0] == 0
    model = registry.load(1, ("a", "b"))
    assert model.features == (*FEATURES, "a", "b")
    assert average_precision(run, str(folder), "--model", "1") > 0.2
    reason = r"it judges by extras that are not declared \(a, b\): declare them"
    with pytest.raises(ModelRefused, match=reason):
        registry.load(1)
    with pytest.raises(ModelRefused, match=r"not declared \(b\)"):
        replace(registry, extras=("a", "others")).load(1)
    assert "error: version 1 is not promoted: it judges by extras that are not declared" in run("promote", "1")[2]
    assert "it judges by extras" in run("evaluate", str(folder), "--model", "1", "--no-extras")[2]


def test_training_for_a_job_refuses_extras_that_are_not_declared(
    run: Run, registry: ModelStore, folder: Path, tmp_path: Path
) -> None:
    arguments = ("train", str(folder), "--promote", "--budget", "0.02")
    status, _, err = run(*arguments)
    assert status == 1
    assert "2 of the history's are not declared (a, b): declare them" in err
    (tmp_path / "some.toml").write_text('a = {lowest = 0, highest = 1, about = "one of them"}')
    assert "1 of the history's are not declared (b)" in run(*arguments, "--extras-file", str(tmp_path / "some.toml"))[2]
    assert run(*arguments, "--no-extras")[0] == 0
    assert registry.load(registry.champion()).features == FEATURES
    assert average_precision(run, str(folder), "--model", "1") >= 0


def test_a_model_with_declared_extras_is_promoted_and_knows_what_an_unknown_one_becomes(
    run: Run, registry: ModelStore, folder: Path, declaration: Path
) -> None:
    declared = ("--extras-file", str(declaration))
    status, out, err = run("train", str(folder), "--promote", "--budget", "0.02", *declared)
    assert status == 0, err
    assert re.search(r"2,\d{3} values of b are not a number from -1 to 1, and count as unknown", out)
    assert "values of a are" not in out
    live = replace(registry, extras=("a", "b", "others"))
    model, packed = live.fetch(registry.champion())
    assert model.features == (*FEATURES, "a", "b")
    assert model.extras["b"] == 0.25
    assert abs(model.extras["a"]) < 0.5
    assert unpack(packed, model.digest, available(), live.extras).extras == model.extras
    with pytest.raises(ModelRefused, match="not declared"):
        unpack(packed, model.digest, available())
    row = np.full((2, len(model.features)), 0.0)
    row[0, -2:], row[1, -2:] = np.nan, (model.extras["a"], 0.25)
    assert len(set(model.anomaly_score(model.known(row)).tolist())) == 1
    served = mlflow.pyfunc.load_model(f"models:/{registry.name}/{registry.champion()}")
    assert served.predict(pd.DataFrame(row, columns=list(model.features)))["anomaly_score"].nunique() == 1
    assert run("promote", "1", *declared)[0] == 0


def test_what_a_declaration_calls_out_of_range_is_unknown_in_evaluation_too(
    run: Run, folder: Path, declaration: Path, tmp_path: Path
) -> None:
    table = pq.read_table(folder / "transactions.parquet")
    place = table.schema.get_field_index("extra_a")
    far = np.nan_to_num(table["extra_a"].to_numpy(), nan=1e9) * 1.0
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    pq.write_table(table.set_column(place, "extra_a", pa.array(far)), tmp_path / "transactions.parquet")
    arguments = ("--detector", "logistic_regression", "--budget", "0.02", "--extras-file", str(declaration))
    assert average_precision(run, str(tmp_path), *arguments) == average_precision(run, str(folder), *arguments)


def test_a_csv_has_the_same_extras_and_only_what_all_files_have_counts(folder: Path, tmp_path: Path) -> None:
    table = pq.read_table(folder / "transactions.parquet")
    pyarrow.csv.write_csv(table[:5_000], tmp_path / "a.csv")
    pq.write_table(table[5_000:].drop_columns(["extra_b"]), tmp_path / "b.parquet")
    history = History.open(tmp_path)
    assert history.extras == ("a",)
    assert pa.concat_tables(history.pieces())["a"].equals(table["extra_a"])
    assert next(history.without_extras().pieces()).schema.names == table.schema.names[:-2]


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (["high"] * 50, r"the extra column extra_c of .* must hold numbers, but it is string"),
        ([0.0] * 7 + [np.inf] * 43, r"extra_c must be finite or empty, but in row 8 of .* it is infinite"),
    ],
)
def test_what_is_no_number_is_refused(folder: Path, tmp_path: Path, column: list[object], message: str) -> None:
    table = pq.read_table(folder / "transactions.parquet")[:50]
    pq.write_table(table.append_column("extra_c", pa.array(column)), tmp_path / "history.parquet")
    with pytest.raises(HistoryError, match=message):
        list(History.open(tmp_path).pieces())


def test_an_unknown_extra_becomes_what_is_declared_or_the_median_of_the_part_that_is_fitted_to() -> None:
    nan = float("nan")
    fit, test = np.array([[1, 5, nan], [2, 7, nan], [3, nan, nan]]), np.array([[nan, nan, 4.0]])
    names, values = ("log_amount", "a", "b"), for_unknown(fit, ("a", "b"))
    assert filled(fit, names, values).tolist() == [[1, 5, 0], [2, 7, 0], [3, 6, 0]]
    np.testing.assert_array_equal(filled(test, names, values), [[nan, 6, 4]])
    assert for_unknown(fit, ("a", "b"), (Extra("a", 0, 9, unknown=-1),)) == {"a": -1, "b": 0}


def test_an_extra_of_a_history_has_a_name_that_messages_can_carry(folder: Path, tmp_path: Path) -> None:
    table = pq.read_table(folder / "transactions.parquet")[:50]
    pq.write_table(table.append_column("extra_amount", pa.array([0.0] * 50)), tmp_path / "history.parquet")
    with pytest.raises(HistoryError, match=r"the extra column extra_amount of .* must be extra_ and then a name"):
        History.open(tmp_path)


def test_a_model_of_an_earlier_release_has_its_extras_by_the_names_that_they_have_now(
    registry: ModelStore, run: Run, folder: Path
) -> None:
    assert run("train", str(folder), "--budget", "0.02")[0] == 0
    model = registry.load(1, ("a", "b"))
    before = replace(model, features=(*FEATURES, "extra_a", "extra_b"), extras={})
    registry.register(before, model.usual.T.copy())
    again = registry.load(2, ("a", "b"))
    assert (again.features, again.extras) == (model.features, {"a": model.usual[-2, 1], "b": model.usual[-1, 1]})
    with pytest.raises(ModelRefused, match="not declared"):
        registry.load(2)
