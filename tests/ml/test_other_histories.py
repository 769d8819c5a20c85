"""Histories that somebody else wrote: times beyond all years, huge numbers, columns twice, damaged files."""

import random
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ml import __main__ as program
from ml.data_report.page import page
from ml.data_report.summary import summarize
from ml.dataset.history import History, HistoryError

START = datetime(2024, 1, 1, tzinfo=UTC)
CSV = "transaction_id,event_time,customer_id,amount"


def columns(n: int = 40, **changes: Any) -> dict[str, Any]:
    """n transactions, one a minute."""
    return {
        "transaction_id": [f"T{number}" for number in range(n)],
        "event_time": pa.array([START + timedelta(minutes=number) for number in range(n)], pa.timestamp("ms", "UTC")),
        "customer_id": [f"C{number % 3}" for number in range(n)],
        "amount": np.linspace(1.0, 100.0, n),
    } | changes


def history(folder: Path, **changes: Any) -> Path:
    pq.write_table(pa.table(columns(**changes)), folder / "transactions.parquet")
    return folder


def read(path: Path) -> int:
    return sum(piece.num_rows for piece in History.open(path).pieces())


@pytest.mark.parametrize("time", [253_402_300_800_000, 2**62, -62_135_596_800_001, -(2**62)])
def test_a_time_beyond_all_years_is_refused_with_its_row(tmp_path: Path, time: int) -> None:
    times = pa.array([0, time] if time > 0 else [time, 0], pa.timestamp("ms", "UTC"))
    with pytest.raises(HistoryError, match=r"event_time must be in the years 1 to 9999, but in row [12] of "):
        read(history(tmp_path, n=2, event_time=times))


def test_the_first_and_the_last_moment_of_all_are_on_a_page(tmp_path: Path) -> None:
    times = pa.array([-62_135_596_800_000, 253_402_300_799_999], pa.timestamp("ms", "UTC"))
    made = page(summarize(History.open(history(tmp_path, n=2, event_time=times)), None), "all times")
    assert "9999-12-31" in made


@pytest.mark.parametrize(
    "values", [[1.79e308, -1.79e308], [1.7976931348623157e308, 0.0], [1e300, 1e300], [5e-324, 0.0]]
)
def test_an_extra_of_the_largest_numbers_is_on_a_page(tmp_path: Path, values: list[float]) -> None:
    opened = History.open(history(tmp_path, extra_number=np.array(values * 20)))
    assert "number" in page(summarize(opened, None), "largest")


def test_a_column_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f"{CSV},amount\nT1,2024-01-01T00:00:00Z,C1,1,2\n")
    with pytest.raises(HistoryError, match="has the column amount twice"):
        read(tmp_path / "a.csv")
    table = pa.table(columns())
    twice = pa.Table.from_arrays([*table.columns, table["amount"]], [*table.column_names, "amount"])
    pq.write_table(twice, tmp_path / "a.parquet")
    with pytest.raises(HistoryError, match="has the column amount twice"):
        read(tmp_path / "a.parquet")


def test_names_of_columns_in_another_encoding_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(f"{CSV},Stra\xdfe\nT1,2024-01-01T00:00:00Z,C1,1,x\n".encode("latin-1"))
    with pytest.raises(HistoryError, match="is not a readable csv file"):
        read(tmp_path / "a.csv")


def test_bytes_that_changed_anywhere_in_a_parquet_file_are_for_people(tmp_path: Path) -> None:
    whole, chance = (history(tmp_path) / "transactions.parquet").read_bytes(), random.Random(7)
    refused = []
    for n in range(150):
        damaged = bytearray(whole)
        for _ in range(chance.choice([1, 3, 20])):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        file = tmp_path / f"{n}.parquet"
        file.write_bytes(damaged)
        refused.append(not _readable(file))
    assert sum(refused) > 20


def _readable(file: Path) -> bool:
    """Whether a file can be read; any error but that for a person fails the test."""
    try:
        read(file)
    except HistoryError:
        return False
    return True


@pytest.mark.parametrize("wanted", [["x" * 5000], ["a\0b"], [".", "--out", "a\0b"], [".", "--out", "x" * 5000]])
def test_a_place_that_none_can_be_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], wanted: list[str]
) -> None:
    monkeypatch.chdir(history(tmp_path))
    monkeypatch.setattr(sys, "argv", ["ml", "report", *wanted])
    with pytest.raises(SystemExit, match="1"):
        program.main()
    assert [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
