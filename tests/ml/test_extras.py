"""Extra columns of a history are features in training and evaluation, and never in the job."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from ml.dataset.history import History, HistoryError
from ml.features import FEATURES
from ml.features.extras import filled
from ml.registry.model_store import ModelRefused, ModelStore
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


def test_a_model_with_extras_can_be_evaluated_but_neither_promoted_nor_loaded_by_the_job(
    run: Run, registry: ModelStore, folder: Path
) -> None:
    assert run("train", str(folder), "--budget", "0.02")[0] == 0
    model = registry.load(1, ("extra_a", "extra_b"))
    assert model.features == (*FEATURES, "extra_a", "extra_b")
    assert average_precision(run, str(folder), "--model", "1") > 0.2
    reason = r"it judges by extra columns of the history that it was trained on \(extra_a, extra_b\)"
    with pytest.raises(ModelRefused, match=reason):
        registry.load(1)
    assert "error: version 1 is not promoted: it judges by extra columns" in run("promote", "1")[2]
    assert "it judges by extra columns" in run("evaluate", str(folder), "--model", "1", "--no-extras")[2]


def test_a_model_that_is_to_be_promoted_is_not_trained_on_extras(run: Run, registry: ModelStore, folder: Path) -> None:
    arguments = ("train", str(folder), "--promote", "--budget", "0.02")
    status, _, err = run(*arguments)
    assert status == 1
    assert "no extra columns, but the history has 2 (extra_a, extra_b): add --no-extras" in err
    assert run(*arguments, "--no-extras")[0] == 0
    assert registry.load(registry.champion()).features == FEATURES
    assert average_precision(run, str(folder), "--model", "1") >= 0


def test_a_csv_has_the_same_extras_and_only_what_all_files_have_counts(folder: Path, tmp_path: Path) -> None:
    table = pq.read_table(folder / "transactions.parquet")
    pyarrow.csv.write_csv(table[:5_000], tmp_path / "a.csv")
    pq.write_table(table[5_000:].drop_columns(["extra_b"]), tmp_path / "b.parquet")
    history = History.open(tmp_path)
    assert history.extras == ("extra_a",)
    assert pa.concat_tables(history.pieces())["extra_a"].equals(table["extra_a"])
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


def test_an_unknown_extra_becomes_the_median_of_the_part_that_is_fitted_to() -> None:
    nan = float("nan")
    parts = {"fit": np.array([[1, 5, nan], [2, 7, nan], [3, nan, nan]]), "test": np.array([[nan, nan, 4.0]])}
    known = filled(parts, ("extra_a", "extra_b"))
    assert known["fit"].tolist() == [[1, 5, 0], [2, 7, 0], [3, 6, 0]]
    np.testing.assert_array_equal(known["test"], [[nan, 6, 4]])
