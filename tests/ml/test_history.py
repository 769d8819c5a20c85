"""Histories come in as they are, whatever file they lie in, or are refused with the file, the column and the row."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from ml.dataset.history import History, HistoryError
from ml.schema import TRANSACTION_ARROW

Damage = Callable[[pa.Table], pa.Table]


def read(path: Path) -> pa.Table:
    return pa.concat_tables(History.open(path).pieces())


def replaced(table: pa.Table, name: str, column: pa.Array | pa.ChunkedArray) -> pa.Table:
    return table.set_column(table.schema.get_field_index(name), name, column)


def with_value(name: str, row: int, value: object) -> Damage:
    def damage(table: pa.Table) -> pa.Table:
        values = table[name].to_pylist()
        values[row] = value
        return replaced(table, name, pa.array(values, table.schema.field(name).type))

    return damage


def test_a_folder_of_parquet_files_is_read_in_the_order_of_their_names(
    history_folder: Path, transactions: pa.Table
) -> None:
    history = History.open(history_folder)
    assert ([file.name for file in history.files], history.rows) == (["part-0.parquet", "part-1.parquet"], 6_000)
    assert read(history_folder).equals(transactions)


def test_a_csv_holds_the_same_as_the_parquet_that_it_was_made_of(tmp_path: Path, transactions: pa.Table) -> None:
    pyarrow.csv.write_csv(transactions, tmp_path / "history.csv")
    assert History.open(tmp_path).rows == 6_000
    assert read(tmp_path / "history.csv").equals(transactions)


def test_a_csv_may_give_times_in_other_zones_and_leave_optional_columns_out(tmp_path: Path) -> None:
    (tmp_path / "history.csv").write_text(
        "customer_id,transaction_id,amount,event_time,note\n"
        "007,t1,12,2026-03-01T01:30:00+02:00,breakfast\n"
        "008,t2,0.5,2026-02-28 23:30:00.123456Z,\n"
    )
    first, second = read(tmp_path).to_pylist()
    assert (first["customer_id"], first["amount"], first["country"]) == ("007", 12.0, None)
    assert first["event_time"].isoformat() == "2026-02-28T23:30:00+00:00"
    assert second["event_time"].isoformat() == "2026-02-28T23:30:00.123000+00:00"


def test_parquet_of_other_tools_is_read_too(tmp_path: Path, transactions: pa.Table) -> None:
    """Dictionaries, large strings, nanoseconds, narrower numbers, another order of the columns, NaN for an unknown place."""
    foreign = replaced(transactions, "country", transactions["country"].dictionary_encode())
    foreign = replaced(foreign, "customer_id", transactions["customer_id"].cast(pa.large_string()))
    foreign = replaced(foreign, "event_time", transactions["event_time"].cast(pa.timestamp("ns", "Europe/Paris")))
    foreign = replaced(foreign, "latitude", pc.fill_null(transactions["latitude"], float("nan")))
    pq.write_table(foreign.select(foreign.column_names[::-1]), tmp_path / "history.parquet")
    came = read(tmp_path)
    assert came.schema == TRANSACTION_ARROW
    assert came.drop_columns("latitude").equals(transactions.drop_columns("latitude"))


def test_the_truth_that_lies_beside_a_history_is_not_read(tmp_path: Path, transactions: pa.Table) -> None:
    pq.write_table(transactions, tmp_path / "transactions.parquet")
    (tmp_path / "truth.parquet").write_bytes(b"not even Parquet")
    assert [file.name for file in History.open(tmp_path).files] == ["transactions.parquet"]


@pytest.mark.parametrize("path", ["missing", "empty"])
def test_where_there_is_no_history_the_error_says_how_to_make_one(tmp_path: Path, path: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(HistoryError, match=f"{path}.*python -m generator history"):
        History.open(tmp_path / path)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda t: t.drop_columns(["customer_id", "amount"]), r"lacks the column customer_id, amount; a transaction has"),
        (lambda t: replaced(t, "amount", t["amount"].cast(pa.string())), r"amount .* must be double, but it is string"),
        (lambda t: replaced(t, "customer_id", pa.array(range(6_000))), r"customer_id .* must be string, but it is int64"),
        (lambda t: replaced(t, "event_time", t["event_time"].cast(pa.timestamp("ms"))), r"event_time .* must be .*tz=UTC"),
        (with_value("customer_id", 4_321, None), r"customer_id must have a value in each row"),
        (with_value("amount", 4_321, -0.01), r"amount must be a finite number of at least 0, but in row 4,322 .* it is -0.01"),
        (with_value("amount", 0, float("nan")), r"amount must be a finite number .* in row 1 .* it is nan"),
        (with_value("amount", 5_999, float("inf")), r"amount must be a finite number .* in row 6,000 .* it is inf"),
        (with_value("latitude", 7, 91.0), r"latitude must be between -90 and 90, but in row 8 .* it is 91"),
        (lambda t: pa.concat_tables([t[3_000:], t[:3_000]]), r"event_time goes back in row 3,001 of .*sorted by event_time"),
    ],
)  # fmt: skip
def test_what_is_no_transaction_is_refused_with_its_place(
    tmp_path: Path, transactions: pa.Table, damage: Damage, reason: str
) -> None:
    pq.write_table(
        damage(transactions.cast(pa.schema([f.with_nullable(True) for f in TRANSACTION_ARROW]))), tmp_path / "h.parquet"
    )
    with pytest.raises(HistoryError, match=reason):
        read(tmp_path)


def test_files_whose_names_are_not_in_time_order_are_refused(tmp_path: Path, transactions: pa.Table) -> None:
    pq.write_table(transactions[3_000:], tmp_path / "a.parquet")
    pq.write_table(transactions[:3_000], tmp_path / "b.parquet")
    with pytest.raises(HistoryError, match=r"event_time goes back in row 1 of .*b\.parquet"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (
            "c,t,much,2026-03-01T00:00:00Z",
            r"column #2.*invalid value 'much'.*amount, latitude and longitude are numbers",
        ),
        ("c,t,1,2026-03-01T00:00:00", r"expected a zone offset"),
        ("c,t,1,yesterday", r"'yesterday'.*ISO 8601 with zone"),
        ("c,t", r"Expected 4 columns, got 2"),
        (",t,1,2026-03-01T00:00:00Z", r"customer_id must have a value"),
        ("c\xff,t,1,2026-03-01T00:00:00Z", r"invalid UTF8"),
    ],
)
def test_a_csv_line_that_is_no_transaction_is_refused(tmp_path: Path, line: str, reason: str) -> None:
    text = f"customer_id,transaction_id,amount,event_time\n{line}\n"
    (tmp_path / "h.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(HistoryError, match=reason):
        read(tmp_path)


@pytest.mark.parametrize("name", ["h.csv", "h.parquet"])
def test_a_file_that_is_empty_or_cut_off_is_refused(tmp_path: Path, transactions: pa.Table, name: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(HistoryError, match=f"{name} is not a readable"):
        History.open(tmp_path)
    pq.write_table(transactions, tmp_path / "whole")
    (tmp_path / "h.parquet").write_bytes((tmp_path / "whole").read_bytes()[:-100])
    with pytest.raises(HistoryError, match=r"h\.parquet is not a readable"):
        History.open(tmp_path / "h.parquet")
