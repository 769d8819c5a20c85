"""History on disk, and live traffic that continues it."""

import itertools
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from msgspec.structs import replace

from generator.history import NoHistory, Origin, labels_after, read_origin, write_history
from generator.population import make_population
from generator.runs import Run, RunName, begins_within
from generator.stream import transactions
from generator.tables import LABEL_ARROW
from ml.schema import TRANSACTION_ARROW

LIVE_START = datetime(2026, 5, 1, 6, tzinfo=UTC)
ORIGIN = Origin(seed=9, customers=400, live_start=LIVE_START, days=3, run=Run(fraud_share=0.02))
POPULATION = make_population(ORIGIN.seed, ORIGIN.customers)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("history")
    write_history(made, ORIGIN, POPULATION, lambda rows, share: None)
    return made


def test_a_history_is_sorted_and_ends_at_the_live_start(folder: Path) -> None:
    table = pq.read_table(folder / "transactions.parquet")
    assert table.schema.equals(TRANSACTION_ARROW)
    times = table["event_time"].to_pylist()
    assert times == sorted(times)
    assert LIVE_START - timedelta(days=3) <= times[0] < LIVE_START - timedelta(days=2, hours=23)
    assert LIVE_START - timedelta(hours=1) < times[-1] < LIVE_START


def test_the_truth_lies_in_a_file_of_its_own(folder: Path) -> None:
    truth = pq.read_table(folder / "truth.parquet")
    assert truth.schema.equals(LABEL_ARROW)
    assert 0.005 < len(truth) / pq.read_metadata(folder / "transactions.parquet").num_rows < 0.04
    assert {file.name for file in folder.iterdir()} == {
        "transactions.parquet",
        "truth.parquet",
        "labels.parquet",
        "history.json",
    }


def test_labels_lie_in_the_order_in_which_they_become_known(folder: Path) -> None:
    labels = pq.read_table(folder / "labels.parquet")
    assert labels.schema.equals(LABEL_ARROW)
    times = labels["label_time"].to_pylist()
    assert times == sorted(times)
    later = labels_after(folder, LIVE_START)
    assert [label.label_time for label in later] == [time for time in times if time >= LIVE_START]
    assert 0 < len(later) < len(labels)


@pytest.mark.parametrize("scenario", ["attack", "drift"])
def test_history_says_when_an_attack_or_a_drift_begins(tmp_path: Path, scenario: RunName) -> None:
    begins = begins_within(scenario, LIVE_START - timedelta(days=3), 3)
    origin = replace(ORIGIN, run=Run(scenario, begins=begins))
    write_history(tmp_path, origin, POPULATION, lambda rows, share: None)
    assert read_origin(tmp_path) == origin
    assert (
        LIVE_START - timedelta(days=2)
        < datetime.fromisoformat(json.loads((tmp_path / "history.json").read_text())["run"]["begins"])
        < LIVE_START
    )


def test_live_traffic_continues_its_history(folder: Path) -> None:
    assert read_origin(folder) == ORIGIN
    one_log = itertools.islice(transactions(POPULATION, LIVE_START - timedelta(days=3), ORIGIN.run), 4 * 24)
    live = itertools.islice(transactions(POPULATION, LIVE_START, ORIGIN.run), 24)
    tables = [pq.read_table(folder / "transactions.parquet"), *(batch.transactions for batch in live)]
    assert pa.concat_tables(tables).equals(pa.concat_tables([batch.transactions for batch in one_log]))


def test_progress_ends_with_the_whole(tmp_path: Path) -> None:
    seen: list[tuple[int, float]] = []
    rows = write_history(tmp_path, ORIGIN, POPULATION, lambda rows, share: seen.append((rows, share)))
    assert seen[-1] == (rows, 1.0)
    assert pq.read_metadata(tmp_path / "transactions.parquet").num_rows == rows


def test_a_live_start_within_an_hour_is_refused(tmp_path: Path) -> None:
    origin = Origin(9, 400, LIVE_START + timedelta(minutes=5), 1)
    with pytest.raises(ValueError, match="has to be a full hour, but is 2026-05-01T06:05:00"):
        write_history(tmp_path, origin, POPULATION, lambda rows, share: None)


@pytest.mark.parametrize("content", [None, b"", b"{}", b'{"seed":"x"}', b'{"live_start":"\xff"}'])
def test_a_folder_without_a_history_is_refused_with_the_way_to_mend_it(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "history.json").write_bytes(content)
    with pytest.raises(NoHistory, match=r"history\.json does not say .* `python -m generator history --out"):
        read_origin(tmp_path)
