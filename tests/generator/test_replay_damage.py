"""Files that are damaged, values beyond all years, options beyond all sense: each is one line, or a reject of its own."""

import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from generator.__main__ import app
from generator.replay.convert import Converter
from generator.replay.errors import ReplayError
from generator.replay.mapping import Mapping, load_mapping
from generator.replay.stream import DataSet
from tests.generator.replay_data import PROMPT, csv_file
from tests.generator.test_command_line import run

PLAIN = "name: plain\nevent_time: {column: at}\ntransaction_id: id\ncustomer_id: who\namount: amount\n"


def mapping_file(folder: Path, text: str = PLAIN) -> str:
    file = folder / "mapping.yaml"
    file.write_text(text)
    return str(file)


def parquet(folder: Path, **columns: Any) -> Path:
    """Two payments in a file, with other columns in place of some."""
    file = folder / "payments.parquet"
    at = pa.array([0, 1], pa.timestamp("ms", "UTC"))
    pq.write_table(pa.table({"id": ["1", "2"], "at": at, "who": ["a", "b"], "amount": [1.0, 2.0]} | columns), file)
    return file


def rejected(folder: Path, file: Path) -> list[str]:
    data = DataSet(file, load_mapping(mapping_file(folder)))
    _, rejects = Converter(data, folder / "out", PROMPT).run()
    return [reject.reason for reject in rejects.shown]


def test_bytes_that_changed_anywhere_in_a_parquet_file_are_one_line(tmp_path: Path) -> None:
    whole = parquet(tmp_path, who=[f"customer {n % 7}" for n in range(2)]).read_bytes()
    chance, mapping = random.Random(7), load_mapping(mapping_file(tmp_path))
    refused = []
    for n in range(150):
        damaged = bytearray(whole)
        for _ in range(chance.choice([1, 3, 20])):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        file = tmp_path / f"{n}.parquet"
        file.write_bytes(damaged)
        refused.append(not _converts(file, mapping, tmp_path / str(n)))
    assert sum(refused) > 20


def _converts(file: Path, mapping: Mapping, folder: Path) -> bool:
    """Whether a file can be converted; any error but that for a person fails the test."""
    try:
        Converter(DataSet(file, mapping), folder, PROMPT).run()
    except ReplayError:
        return False
    return True


@pytest.mark.parametrize("kind", [pa.binary(2), pa.binary(), pa.large_binary(), pa.binary_view()])
def test_bytes_of_any_type_that_are_no_text_are_a_reject_of_their_own(tmp_path: Path, kind: pa.DataType) -> None:
    file = parquet(tmp_path, who=pa.array([b"\xff\xfe", b"ok"], kind))
    assert rejected(tmp_path, file) == ["the column who is not UTF-8 (byte 0xff)"]


@pytest.mark.parametrize(
    "times",
    [
        pa.array([2**62, 0], pa.timestamp("us")),
        pa.array([2**62, 0], pa.timestamp("ms", "UTC")),
        pa.array([-(2**62), 0], pa.timestamp("ms", "UTC")),
        pa.array([2**31 - 1, 0], pa.date32()),
    ],
)
def test_a_time_beyond_all_years_is_a_reject_of_its_own(tmp_path: Path, times: pa.Array) -> None:
    (reason,) = rejected(tmp_path, parquet(tmp_path, at=times))
    assert reason.startswith("event_time (column at) must be ISO 8601, in the years 1 to 9999, but is ")
    assert str(times[0].value) in reason


@pytest.mark.parametrize("text", ["[" * 5000, "a: " * 3000])
def test_a_mapping_that_is_nested_too_deeply_is_one_line(tmp_path: Path, text: str) -> None:
    with pytest.raises(ReplayError):
        load_mapping(mapping_file(tmp_path, text))


@pytest.mark.parametrize("name", ["a\0b", "x" * 5000])
def test_a_mapping_that_no_file_can_be_is_one_line(name: str) -> None:
    with pytest.raises(ReplayError, match="can't be read"):
        load_mapping(name)


def test_a_cut_before_the_first_year_in_utc_leaves_nothing(tmp_path: Path) -> None:
    file = csv_file(tmp_path, "1,2024-01-01T00:00:00Z,c,5", header="id,at,who,amount")
    data = DataSet(file, load_mapping(mapping_file(tmp_path)), until="0001-01-01T00:00:00+23:59")
    with pytest.raises(ReplayError, match="comes before --until"):
        Converter(data, tmp_path / "out", PROMPT).run()


@pytest.mark.parametrize("option", ["--tolerance", "--label-days"])
@pytest.mark.parametrize("value", ["inf", "1e300"])
def test_an_option_beyond_all_sense_is_refused(tmp_path: Path, option: str, value: str) -> None:
    file = csv_file(tmp_path, "1,2024-01-01T00:00:00Z,c,5", header="id,at,who,amount")
    wanted = ["convert", str(file), "--format", mapping_file(tmp_path), "--out", str(tmp_path / "out")]
    assert CliRunner().invoke(app, [*wanted, option, value]).exit_code == 2


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    file = csv_file(tmp_path, "1,2024-01-01T00:00:00Z,c,5", header="id,at,who,amount")
    in_the_way = tmp_path / "a file"
    in_the_way.touch()
    wanted = ("convert", file, "--format", mapping_file(tmp_path), "--out", in_the_way / "out")
    code, _, err = run(*wanted)
    assert (code, err.count("\n")) == (1, 1)
    assert err.startswith("error: ")
