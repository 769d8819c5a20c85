"""Data sets converted into a history folder."""

import itertools
import json
from pathlib import Path

import psutil
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from generator.replay import csv_source
from generator.replay.convert import Converter
from generator.replay.errors import ReplayError
from generator.replay.mapping import load_mapping
from generator.replay.stream import DataSet
from generator.samples.make import SAMPLES, sample
from ml.dataset.history import History
from ml.features.customers import CustomerTable
from ml.features.events import events_from_arrow
from ml.schema import TRANSACTION_FIELDS
from tests.generator.replay_data import PLAIN, PROMPT, WEEK, converted, csv_file, mapping, transactions
from tests.generator.replay_data import SAMPLES as FOLDER
from tests.generator.test_command_line import run


@pytest.mark.parametrize("name", SAMPLES)
def test_the_committed_samples_are_what_their_script_makes(name: str) -> None:
    assert (FOLDER / name).read_bytes() == sample(name)
    assert len(sample(name)) <= 100_000


@pytest.mark.parametrize(
    ("name", "rows", "frauds", "customers"),
    [("paysim", 1120, 16, 1120), ("sparkov", 320, 23, 12), ("ulb", 150, 6, 150)],
)
def test_a_sample_becomes_a_history_that_training_folds(
    name: str, rows: int, frauds: int, customers: int, tmp_path: Path
) -> None:
    code, out, err = run("convert", FOLDER / f"{name}.csv", "--format", name, "--out", tmp_path / "out")
    assert (code, err) == (0, "")
    assert out.startswith(f"{rows:,} transactions from ")
    history, table = History.open(tmp_path / "out"), CustomerTable()
    assert history.rows == rows
    for piece in history.pieces():
        table.fold(piece["customer_id"], events_from_arrow(piece))
    assert table.customers == customers
    truth, labels = (pq.read_table(tmp_path / "out" / f"{what}.parquet") for what in ("truth", "labels"))
    assert truth.num_rows == labels.num_rows == frauds
    assert None not in truth["campaign"].to_pylist()
    known, times = labels["label_time"].to_pylist(), dict(zip(*truth.select([0, 3]).to_pydict().values(), strict=True))
    assert known == sorted(known)
    assert all(label["label_time"] > times[label["transaction_id"]] for label in labels.to_pylist())
    assert json.loads((tmp_path / "out" / "history.json").read_bytes())["transactions"] == rows


def test_what_the_publishers_columns_become(tmp_path: Path) -> None:
    made = {
        name: converted(DataSet(FOLDER / f"{name}.csv", load_mapping(name)), tmp_path / name).to_pylist()
        for name in ("paysim", "sparkov", "ulb")
    }
    of_paysim = made["paysim"][0]
    assert of_paysim["event_time"].isoformat() == "2017-01-01T01:00:00+00:00"  # step 1
    assert of_paysim["customer_id"].startswith("C")
    assert (of_paysim["merchant_category"], of_paysim["channel"], of_paysim["currency"]) == (
        "TRANSFER",
        "transfer",
        None,
    )
    assert len({row["event_time"] for row in made["paysim"]}) == len(made["paysim"])  # spread over their hour
    of_sparkov = made["sparkov"][1]
    assert of_sparkov["merchant_id"] == 'fraud_"Hazel" Inc'
    assert (of_sparkov["currency"], of_sparkov["country"], of_sparkov["channel"]) == ("USD", "US", "chip")
    assert of_sparkov["extra_home_latitude"] == 30.4134
    of_ulb = made["ulb"]
    assert [row["customer_id"] for row in of_ulb[:2]] == ["ulb-0000000002", "ulb-0000000003"]
    assert "2013-09-02T03:46:40+00:00" in {row["event_time"].isoformat() for row in of_ulb}  # 1e+05 seconds
    assert [name for name in of_ulb[0] if name not in TRANSACTION_FIELDS] == [f"extra_V{i}" for i in range(1, 29)]


LINES = ("1,c1,5,0", "2,c2,x,0", "", "3,c3", "4,c4,-1,1", '5,"c5,6,0', "6,,7,0", "7,c7,8,2", "8,c8,9,1", "9,c\x80,1,0")


def test_rows_that_do_not_fit_are_counted_shown_and_kept_with_their_line(tmp_path: Path) -> None:
    file = csv_file(tmp_path, *LINES)
    file.write_bytes(file.read_bytes().replace("\x80".encode(), b"\x80"))
    mapping(tmp_path)
    code, out, err = run("convert", file, "--format", tmp_path / "mapping.yaml", "--out", tmp_path / "out")
    assert (code, err) == (3, "")
    assert transactions(tmp_path / "out")["customer_id"].to_pylist() == ["c1", "c8"]
    rejects = [json.loads(line) for line in (tmp_path / "out" / "rejects.jsonl").read_text().splitlines()]
    assert {reject["row"]: reject["reason"] for reject in rejects} == {
        3: "amount (column amount) must be a number, but is 'x'",
        5: "a row has 4 fields, but this line has 2",
        6: "amount (column amount) must be finite and at least 0, but is '-1'",
        7: "the line is not one row of a CSV (unexpected end of data); a field can't hold a line break",
        8: "customer_id (column who) must have a value",
        9: "the label (column fraud) must be one of 1, true, yes, t, y, 0, false, no, f, n, but is '2'",
        11: "the line is not UTF-8 (byte 0x80)",
    }
    assert rejects[0]["text"] == "2,c2,x,0"
    assert all(f"  {reject['row']}: {reject['reason']}" in out for reject in rejects)
    assert f"lines of {file}: 7 rows do not fit" in out


def test_lines_keep_their_numbers_in_later_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_source, "BLOCK_BYTES", 64)
    file = csv_file(tmp_path, *(f"{n},c{n},{'x' if n % 50 == 7 else n},0" for n in range(200)))
    _, rejects = Converter(DataSet(file, mapping(tmp_path)), tmp_path / "out", PROMPT).run()
    assert [reject.row for reject in rejects.shown] == [9, 59, 109, 159]
    assert transactions(tmp_path / "out").num_rows == 196


def test_disorder_is_an_error_that_names_the_line_and_the_tolerance_that_mends_it(tmp_path: Path) -> None:
    file = csv_file(tmp_path, "100,c1,1,0", "90,c2,2,0", "110,c3,3,1", "107,c4,4,1")
    with pytest.raises(
        ReplayError, match=r"line 3 \(1970-01-01T00:01:30\+00:00\) comes 10.000 s after.*--tolerance 10$"
    ):
        converted(DataSet(file, mapping(tmp_path)), tmp_path / "out")
    made = converted(DataSet(file, mapping(tmp_path), tolerance_seconds=10), tmp_path / "sorted")
    assert made["customer_id"].to_pylist() == ["c2", "c1", "c4", "c3"]


@settings(max_examples=25, deadline=None)
@given(
    delays=st.lists(st.integers(0, 6), min_size=1, max_size=60),
    stop=st.integers(0, 5),
    spread=st.booleans(),
    parquet=st.booleans(),
)
def test_a_conversion_that_was_stopped_goes_on_to_the_same_end(
    delays: list[int], stop: int, spread: bool, parquet: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("stopped")
    times = [n // 3 * 2 + delay for n, delay in enumerate(delays)]
    meant = mapping(folder, event_time={"column": "at", "unit": "seconds", "spread": spread})
    file = csv_file(folder, *(f"{time},c{n % 5},{'x' if n % 9 == 8 else n},{n % 2}" for n, time in enumerate(times)))
    if parquet:
        pq.write_table(pyarrow.csv.read_csv(file), folder / "data.parquet", row_group_size=5)
        file = folder / "data.parquet"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_source, "BLOCK_BYTES", 40)
        whole, again = (Converter(DataSet(file, meant, 6), folder / name, WEEK, part_rows=7) for name in ("a", "b"))
        said, _ = whole.run()
        parts = itertools.count()

        def interrupt(rows: int, rejects: int) -> None:  # noqa: ARG001
            if next(parts) == stop:
                raise KeyboardInterrupt

        again.progress = interrupt
        try:
            again.run()
        except KeyboardInterrupt:
            assert not (folder / "b" / "history.json").exists()
            assert Converter(DataSet(file, meant, 6), folder / "b", WEEK, part_rows=7).run()[0] == said
    assert transactions(folder / "b").equals(transactions(folder / "a"))
    for name in ("truth.parquet", "labels.parquet"):
        assert pq.read_table(folder / "b" / name).equals(pq.read_table(folder / "a" / name))
    rejects = [folder / name / "rejects.jsonl" for name in "ab"]
    assert len({file.read_bytes() for file in rejects if file.exists()}) <= 1
    assert said.transactions == transactions(folder / "a").num_rows


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    data = DataSet(csv_file(tmp_path, "1,c1,1,0"), mapping(tmp_path))
    converted(data, tmp_path / "out")
    with pytest.raises(ReplayError, match="holds a history already"):
        converted(data, tmp_path / "out")


def test_a_file_without_a_row_that_fits_is_an_error_that_shows_why(tmp_path: Path) -> None:
    mapping(tmp_path)
    code, _, err = run(
        "convert", csv_file(tmp_path, "x,y,z,0"), "--format", tmp_path / "mapping.yaml", "--out", tmp_path / "out"
    )
    assert code == 1
    assert err.startswith(f"error: {tmp_path / 'data.csv'} has no row that fits as plain: 1 rows do not fit")
    assert "  2: event_time (column at) must be a number of seconds, in the years 1 to 9999, but is 'x'" in err


def test_data_without_a_label_gets_no_file_of_truth(tmp_path: Path) -> None:
    converted(DataSet(csv_file(tmp_path, "1,c1,1,0"), mapping(tmp_path, label=None)), tmp_path / "out")
    assert {file.name for file in (tmp_path / "out").iterdir()} == {"transactions-00000.parquet", "history.json"}


def test_memory_does_not_grow_with_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_source, "BLOCK_BYTES", 1 << 20)
    file = tmp_path / "data.csv"
    with file.open("w") as out:
        out.write(",".join(PLAIN[key] if isinstance(PLAIN[key], str) else "at" for key in list(PLAIN)[1:]) + "\n")
        for start in range(0, 1_500_000, 50_000):
            out.write("".join(f"{n},customer-{n % 1000},{n},0\n" for n in range(start, start + 50_000)))
    used: list[int] = []
    process = psutil.Process()
    converter = Converter(DataSet(file, mapping(tmp_path)), tmp_path / "out", PROMPT, part_rows=200_000)
    converter.progress = lambda rows, rejects: used.append(process.memory_info().rss)
    what, _ = converter.run()
    assert what.transactions == 1_500_000
    third = len(used) // 3
    grown_mib = (max(used[-third:]) - max(used[:third])) / 2**20
    assert third > 5
    assert grown_mib < 60, (
        f"{file.stat().st_size / 2**20:.0f} MiB of CSV, and {grown_mib:.0f} MiB more memory at its end"
    )
