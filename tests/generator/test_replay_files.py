"""Files that people have: unsorted, empty, packed, in a folder, cut in two; and the published data sets' own shapes."""

import bz2
import gzip
import json
import lzma
import random
import re
import shutil
import subprocess
import sys
import tracemalloc
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from generator.labels import Reporting
from generator.replay import csv_source, sorting
from generator.replay.convert import Converter
from generator.replay.cut import Cut
from generator.replay.errors import ReplayError
from generator.replay.fit import TIME, Fitted
from generator.replay.mapping import load_mapping
from generator.replay.source import Position
from generator.replay.stream import DataSet
from ml.dataset.history import History, HistoryError
from ml.features.customers import CustomerTable
from ml.features.events import events_from_arrow
from tests.generator.replay_data import PROMPT, SAMPLES, WEEK, converted, csv_file, mapping, transactions
from tests.generator.test_command_line import run


def complaint(file: Path, folder: Path, **options: Any) -> str:
    with pytest.raises(ReplayError) as caught:
        converted(DataSet(file, mapping(folder), **options), folder / "out")
    return str(caught.value)


def test_a_file_that_holds_nothing_says_what_it_lacks(tmp_path: Path) -> None:
    empty = tmp_path / "empty.csv"
    empty.touch()
    assert complaint(empty, tmp_path) == f"{empty} is empty (0 bytes): was it written to its end?"
    assert complaint(csv_file(tmp_path), tmp_path).endswith(
        "data.csv has a header, but no row: was it written to its end?"
    )
    table = pyarrow.csv.read_csv(csv_file(tmp_path, "1,c,5,0")).slice(0, 0)
    pq.write_table(table, tmp_path / "data.parquet")
    assert "has columns, but no row" in complaint(tmp_path / "data.parquet", tmp_path)


def test_a_packed_file_is_named_with_the_command_that_unpacks_it(tmp_path: Path) -> None:
    content = csv_file(tmp_path, "1,c,5,0").read_bytes()
    for name in ("data.csv.gz", "named-as-if-it-were-not.csv"):
        (tmp_path / name).write_bytes(gzip.compress(content))
        said = complaint(tmp_path / name, tmp_path)
        assert said.startswith(f"{tmp_path / name} is packed by gzip: unpack it with `gunzip --keep {tmp_path / name}`")
    with zipfile.ZipFile(tmp_path / "archive.zip", "w") as archive:
        archive.writestr("data.csv", content)
    assert "is packed by zip: unpack it with `unzip " in complaint(tmp_path / "archive.zip", tmp_path)
    (tmp_path / "a.csv").write_bytes(lzma.compress(content))
    assert "is packed by xz: unpack it with `unxz " in complaint(tmp_path / "a.csv", tmp_path)
    (tmp_path / "b.csv.bz2").write_bytes(bz2.compress(content))
    assert "is packed by bzip2: unpack it with `bunzip2 " in complaint(tmp_path / "b.csv.bz2", tmp_path)


def test_a_file_in_utf_16_is_named_with_the_command_that_converts_it(tmp_path: Path) -> None:
    (tmp_path / "excel.csv").write_text("at,who,amount,fraud\n1,c,5,0\n", "utf-16")
    assert "excel.csv is in UTF-16: bring it into UTF-8 with `iconv " in complaint(tmp_path / "excel.csv", tmp_path)


def test_a_history_that_would_end_before_the_first_row_is_refused_with_the_reason(tmp_path: Path) -> None:
    data = DataSet(csv_file(tmp_path, "1,c,5,0"), mapping(tmp_path), until="2")
    with pytest.raises(ReplayError, match="comes before --until: name a later place"):
        converted(data, tmp_path / "out")


def test_a_folder_that_spark_wrote_says_how_to_make_one_file_of_it(tmp_path: Path) -> None:
    folder = tmp_path / "spark"
    folder.mkdir()
    assert "is a folder without one" in complaint(folder, tmp_path)
    for n in range(3):
        shutil.copy(csv_file(tmp_path, "1,c,5,0"), folder / f"part-0000{n}-abc-c000.csv")
    (folder / "_SUCCESS").touch()
    said = complaint(folder, tmp_path)
    assert f"{folder} is a folder that Spark wrote of 3 files: have Spark write one" in said
    for n in (1, 2):
        (folder / f"part-0000{n}-abc-c000.csv").unlink()
    assert complaint(folder, tmp_path).endswith("name the file in it, part-00000-abc-c000.csv")


def test_the_command_of_the_documentation_makes_one_file_of_a_folder(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "replay.md").read_text()
    (command,) = re.findall(r'^python -c "(.*)"$', page, re.MULTILINE)
    (tmp_path / "folder").mkdir()
    for n in range(3):
        table = pyarrow.csv.read_csv(csv_file(tmp_path, f"{3 - n},c,{n},0"))
        pq.write_table(table, tmp_path / "folder" / f"part-{n}.parquet")
    (tmp_path / "folder" / "_SUCCESS").touch()
    subprocess.run([sys.executable, "-c", command], cwd=tmp_path, check=True)
    made = converted(DataSet(tmp_path / "whole.parquet", mapping(tmp_path), sort=True), tmp_path / "out")
    assert made["amount"].to_pylist() == [2, 1, 0]


def shuffled(folder: Path, rows: int = 300) -> Path:
    times = random.Random(1).sample(range(rows), rows)
    return csv_file(folder, *(f"{at},c{at % 7},{at},{int(at % 10 == 0)}" for at in times))


def test_a_shuffled_file_is_distinguished_from_small_disorder_and_its_advice_is_enough(tmp_path: Path) -> None:
    assert complaint(shuffled(tmp_path), tmp_path).endswith("so it has no order: have it sorted with --sort")
    made = converted(DataSet(shuffled(tmp_path), mapping(tmp_path), sort=True), tmp_path / "out")
    assert made["amount"].to_pylist() == list(range(300))


def test_the_tolerance_that_is_advised_is_that_of_the_whole_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_source, "BLOCK_BYTES", 64)
    times = np.arange(0, 2_000, 5)
    times[3], times[200], times[390] = 12, 960, 1_905
    file = csv_file(tmp_path, *(f"{at},c,5,0" for at in times))
    said = complaint(file, tmp_path)
    assert "line 5 (1970-01-01T00:00:12+00:00)" not in said
    assert said.endswith("or allow for it with --tolerance 40")
    assert converted(DataSet(file, mapping(tmp_path), 40), tmp_path / "out").num_rows == 400


@settings(max_examples=25, deadline=None)
@given(times=st.lists(st.integers(0, 30), min_size=1, max_size=60), spread=st.booleans(), stop=st.integers(0, 4))
def test_sorting_gives_what_a_sorted_file_gives_also_after_a_stop(
    times: list[int], spread: bool, stop: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("sorting")
    meant = mapping(
        folder, event_time={"column": "at", "unit": "seconds", "spread": spread}, transaction_id="id", customer_id="id"
    )
    lines = [f"{at},t{n},{'x' if n % 9 == 8 else n},{n % 2}" for n, at in enumerate(times)]
    file = csv_file(folder, *lines, header="at,id,amount,fraud")
    (folder / "b").mkdir()
    ordered = csv_file(
        folder / "b", *sorted(lines, key=lambda line: int(line.split(",")[0])), header="at,id,amount,fraud"
    )
    if all(line.split(",")[2] == "x" for line in lines):
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_source, "BLOCK_BYTES", 40)
        patch.setattr(sorting, "BUCKET_ROWS", 7)
        wanted = converted(DataSet(ordered, meant), folder / "wanted")
        converter = Converter(DataSet(file, meant, sort=True), folder / "found", WEEK, part_rows=7)
        seen: list[int] = []

        def interrupt(rows: int, rejects: int) -> None:  # noqa: ARG001
            seen.append(rows)
            if len(seen) == stop + 1:
                raise KeyboardInterrupt

        converter.progress = interrupt
        try:
            _, rejects = converter.run()
        except KeyboardInterrupt:
            _, rejects = Converter(DataSet(file, meant, sort=True), folder / "found", WEEK, part_rows=7).run()
    assert transactions(folder / "found").equals(wanted)
    assert rejects.count == sum(n % 9 == 8 for n in range(len(lines)))


@pytest.mark.parametrize("at", ["90%", "0.9", "272", "1970-01-01T00:04:30Z"])
@pytest.mark.parametrize("disorder", [False, True])
def test_a_history_until_a_cut_and_a_stream_from_it_are_the_whole_file(tmp_path: Path, at: str, disorder: bool) -> None:
    plain = [f"{n},c{n % 7},{n},{int(n % 10 == 0)}" for n in range(300)]
    file = shuffled(tmp_path) if disorder else csv_file(tmp_path, *plain)
    history = DataSet(file, mapping(tmp_path), sort=disorder, until=at)
    made = converted(history, tmp_path / "out")["amount"].to_pylist()
    cut = Cut.of("--from", at, history.source)
    whole = converted(DataSet(file, mapping(tmp_path), sort=disorder), tmp_path / "whole")
    if cut.row is not None:
        assert cut.row == 272
    assert len(made) == 270
    rest = [amount for amount in whole["amount"].to_pylist() if amount not in made]
    assert len(rest) == 30
    if cut.row is None or not disorder:
        assert made == list(range(270))
        assert rest == list(range(270, 300))


def test_a_share_of_a_parquet_file_is_one_of_its_rows(tmp_path: Path) -> None:
    pq.write_table(pyarrow.csv.read_csv(csv_file(tmp_path, *(f"{n},c,1,0" for n in range(50)))), tmp_path / "a.parquet")
    data = DataSet(tmp_path / "a.parquet", mapping(tmp_path), until="50%")
    assert converted(data, tmp_path / "out").num_rows == 25


@pytest.mark.parametrize("text", ["0%", "100%", "x%", "0.0", "1.0", "2019-06-01", "soon", "-4"])
def test_a_cut_that_is_none_is_one_line(tmp_path: Path, text: str) -> None:
    with pytest.raises(ReplayError, match=r"^--until has to be a "):
        DataSet(csv_file(tmp_path, "1,c,5,0"), mapping(tmp_path), until=text)


def test_the_labels_of_a_history_are_of_its_own_transactions(tmp_path: Path) -> None:
    file = csv_file(tmp_path, *(f"{n},c{n},{n},{int(n % 10 == 0)}" for n in range(100)))
    Converter(DataSet(file, mapping(tmp_path), until="50%"), tmp_path / "out", Reporting(never=0)).run()
    ids = set(transactions(tmp_path / "out")["transaction_id"].to_pylist())
    for name in ("truth", "labels"):
        found = pq.read_table(tmp_path / "out" / f"{name}.parquet")["transaction_id"].to_pylist()
        assert len(found) == 5
        assert set(found) <= ids


@pytest.mark.parametrize(
    ("name", "rows", "frauds", "customers"),
    [
        ("tabformer", 300, 8, 5),
        ("ibm-aml", 300, 15, 29),
        ("banksim", 400, 16, 25),
        ("ieee-cis", 90, 6, 12),
        ("baf", 240, 6, 240),
    ],
)
def test_a_published_shape_becomes_a_history_that_training_folds_without_code(
    name: str, rows: int, frauds: int, customers: int, tmp_path: Path
) -> None:
    wanted = ("--format", name, "--sort", "--label-days", "0", "--out", tmp_path / "out")
    code, out, err = run("convert", SAMPLES / f"{name}.csv", *wanted)
    assert (code, err) == (0, "")
    assert out.startswith(f"{rows:,} transactions from ")
    history, table = History.open(tmp_path / "out"), CustomerTable()
    assert history.rows == rows
    for piece in history.pieces():
        table.fold(piece["customer_id"], events_from_arrow(piece))
    assert table.customers == customers
    assert pq.read_table(tmp_path / "out" / "labels.parquet").num_rows == frauds


def test_what_the_other_publishers_columns_become(tmp_path: Path) -> None:
    made = {
        name: converted(DataSet(SAMPLES / f"{name}.csv", load_mapping(name), sort=True), tmp_path / name)
        for name in ("tabformer", "ibm-aml", "banksim", "ieee-cis", "baf")
    }
    first = (SAMPLES / "tabformer.csv").read_text().splitlines()[1].split(",")
    of_tabformer = next(row for row in made["tabformer"].to_pylist() if row["transaction_id"] == "tabformer-0000000002")
    user, card, year, month, day, time, amount = first[:7]
    when = datetime(int(year), int(month), int(day), *map(int, time.split(":")), tzinfo=UTC)
    assert (of_tabformer["event_time"], of_tabformer["customer_id"]) == (when, user)
    assert of_tabformer["amount"] == abs(float(amount.replace("$", "")))
    assert of_tabformer["device_id"] == f"{user}-{card}"
    of_aml = made["ibm-aml"].to_pylist()[0]
    assert set(made["ibm-aml"]["currency"].to_pylist()) == {"USD", "EUR", "XBT", "JPY"}
    assert "-80" in of_aml["customer_id"]
    assert of_aml["customer_id"] != of_aml["merchant_id"]
    of_banksim = made["banksim"].to_pylist()[0]
    assert of_banksim["customer_id"].startswith("C")
    assert of_banksim["merchant_category"] == "es_transportation"
    assert None in made["baf"]["extra_session_length_in_minutes"].to_pylist()
    assert min(filter(None, made["baf"]["extra_bank_months_count"].to_pylist())) >= 1
    assert made["ieee-cis"]["transaction_id"].to_pylist()[0] == "2987000"
    assert len(set(made["ieee-cis"]["customer_id"].to_pylist())) == 12


def test_text_of_a_history_that_is_not_utf8_is_one_line_for_training(tmp_path: Path) -> None:
    converted(DataSet(csv_file(tmp_path, "1,c1,5,0", "2,c2,5,0"), mapping(tmp_path)), tmp_path / "out")
    (file,) = (tmp_path / "out").glob("transactions-*")
    table = pq.read_table(file)
    raw = pyarrow.array([b"c1", b"c\xff"], pyarrow.binary())
    column = pyarrow.Array.from_buffers(pyarrow.string(), 2, raw.buffers())
    pq.write_table(table.set_column(table.schema.get_field_index("customer_id"), "customer_id", column), file)
    with pytest.raises(HistoryError, match="customer_id must be UTF-8, but in row 2 of"):
        list(History.open(tmp_path / "out").pieces())


def test_a_folder_of_packed_files_says_so_to_training(tmp_path: Path) -> None:
    (tmp_path / "part-0.csv.gz").write_bytes(gzip.compress(b"x"))
    with pytest.raises(HistoryError, match=r"no \.parquet or \.csv file there \(part-0\.csv\.gz has to be unpacked\)"):
        History.open(tmp_path)


def test_a_folder_that_spark_partitioned_says_so_to_training(tmp_path: Path) -> None:
    (tmp_path / "day=2026-05-01").mkdir()
    with pytest.raises(HistoryError, match=r"no \.parquet or \.csv file there, only folders such as day=2026-05-01"):
        History.open(tmp_path)


def test_the_rejects_after_a_row_cut_are_not_counted(tmp_path: Path) -> None:
    file = csv_file(tmp_path, "1,c,x,0", "2,c,5,0", "3,c,5,0", "4,c,x,0")
    Converter(DataSet(file, mapping(tmp_path), until="4"), tmp_path / "out", PROMPT).run()
    rejects = [json.loads(line) for line in (tmp_path / "out" / "rejects.jsonl").read_text().splitlines()]
    assert [reject["row"] for reject in rejects] == [2]


def test_sorting_keeps_no_number_for_each_row_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sorting, "BUCKET_ROWS", 5_000)
    rows, blocks, random = 200_000, 40, np.random.default_rng(1)
    schema = pa.schema([(TIME, pa.int64())])
    where = Position(0, 2)

    def shuffled_blocks() -> Iterator[Fitted]:
        for _ in range(blocks):
            yield Fitted(pa.table([random.integers(0, 1 << 40, rows // blocks)], schema=schema), [], where, 0, 0)

    tracemalloc.start()
    try:
        found = [part.table[TIME].to_numpy() for part in sorting.in_time_order(shuffled_blocks(), schema)]
        _, most_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most_bytes < 8 * rows
    together = np.concatenate(found)
    assert len(together) == rows
    assert np.all(together[1:] >= together[:-1])
    assert max(map(len, found)) < 1.2 * 5_000
