"""The lake's tables without Spark: rows, views, the training set, and what keeps the tables small."""

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake
from typer.testing import CliRunner

from lake import maintenance
from lake.__main__ import app
from lake.place import Place
from lake.rows import DAY, LABELS, SCORES, LabelRows, Piece, ScoreRows
from lake.settling import settle
from lake.training_set import write_training_set
from lake.views import connect
from ml.features import FEATURE_SET, FEATURES

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
NOON_MS = int(NOON.timestamp() * 1000)

runner = CliRunner()


def score(number: int, **changed: Any) -> bytes:
    """A score's JSON, of the transaction of that number, one a minute."""
    said: dict[str, Any] = {
        "schema_version": 2,
        "transaction_id": f"T{number}",
        "event_time": (NOON + timedelta(minutes=number)).isoformat(),
        "customer_id": "C1",
        "amount": 12.5,
        "partition": 0,
        "offset": number,
        "kafka_time": NOON_MS + 60_000 * number,
        "late": False,
        "key_mismatch": False,
        "order_undefined": False,
        "features": [float(number)] * len(FEATURES),
        "anomaly_score": 0.25,
        "is_anomaly": False,
        "threshold": 0.75,
        "model_name": "scoreline",
        "model_version": 1,
        "model_digest": "ab" * 8,
        "threshold_version": 0,
        "feature_set": FEATURE_SET,
        "fold_version": 3,
        "lane": "spark",
        "micro_batch": 4,
        "profile_version": 0,
        "scored_at": NOON_MS,
    }
    return json.dumps(said | changed).encode()


def label(transaction: str, is_fraud: bool | None, source: str = "analyst", days: int = 1) -> bytes:
    said = {
        "transaction_id": transaction,
        "customer_id": "C1",
        "is_fraud": is_fraud,
        "label_time": (NOON + timedelta(days=days)).isoformat(),
        "source": source,
    }
    return json.dumps(said).encode()


def put_scores(place: Place, values: list[bytes], pieces: list[Piece] | None = None) -> None:
    batch = pa.RecordBatch.from_pydict(
        {"value": pa.array(values, pa.binary()), "time": pa.array([NOON_MS] * len(values))}
    )
    [rows] = ScoreRows(pieces or []).read(iter([batch]))
    write_deltalake(place.table(SCORES), pa.Table.from_batches([rows]), mode="append", partition_by=[DAY])


def put_labels(place: Place, values: list[bytes], first: int = 0, archived_at: int = NOON_MS) -> None:
    offsets = pa.array(range(first, first + len(values)), pa.int64())
    partitions = pa.array([0] * len(values), pa.int32())
    batch = pa.RecordBatch.from_pydict(
        {"value": pa.array(values, pa.binary()), "partition": partitions, "offset": offsets}
    )
    [rows] = LabelRows("labels-id", archived_at).read(iter([batch]))
    write_deltalake(place.table(LABELS), pa.Table.from_batches([rows]), mode="append", partition_by=[DAY])


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(str(tmp_path / "lake"))


def ask(place: Place, query: str, known_by: datetime | None = None) -> list[tuple[Any, ...]]:
    with connect(place, known_by) as connection:
        return connection.execute(query).fetchall()


def test_a_lake_without_tables_is_empty(place: Place) -> None:
    for view in ("transactions", "predictions", "labels", "training_data"):
        assert ask(place, f"select count(*) from {view}") == [(0,)]


def test_what_is_no_score_and_no_label_is_left_out(place: Place) -> None:
    put_scores(place, [score(1), b"{", b"\xff", score(2, anomaly_score="high"), score(3)])
    put_labels(place, [label("T1", True), b"[]"])
    assert ask(place, "select transaction_id from transactions order by 1") == [("T1",), ("T3",)]
    assert ask(place, "select transaction_id from labels") == [("T1",)]


def test_a_record_has_the_topic_that_the_ledger_says_of_its_micro_batch() -> None:
    rows = ScoreRows([Piece("old", 3, {"0": 0}, {"0": 10}), Piece("new", 9, {"0": 0}, {"0": 20})])
    assert [rows.topic_id(0, 5, 3), rows.topic_id(0, 5, 4), rows.topic_id(0, 15, 4)] == ["old", "new", "new"]
    assert [rows.topic_id(0, 20, 4), rows.topic_id(1, 5, 4), rows.topic_id(0, 5, 10)] == ["", "", ""]


def test_of_each_source_the_last_label_counts_and_a_chargeback_before_an_analyst(place: Place) -> None:
    put_scores(place, [score(number) for number in range(4)])
    first = [label("T1", True), label("T1", False, "chargeback"), label("T2", True), label("T3", True, "a neighbour")]
    put_labels(place, first)
    put_labels(place, [label("T2", None, days=5), label("T3", False, "another", days=5)], 4, NOON_MS + 1)
    query = "select transaction_id, is_fraud, label_source from training_data order by 1"
    assert ask(place, query) == [
        ("T0", None, None),
        ("T1", False, "chargeback"),
        ("T2", None, None),
        ("T3", False, "another"),
    ]
    # As of an earlier day nothing was withdrawn yet.
    assert ask(place, query, NOON + timedelta(days=2))[2:] == [("T2", True, "analyst"), ("T3", True, "a neighbour")]
    assert ask(place, "select count(*) from labels") == [(4,)]


def test_a_training_set_has_the_features_as_they_were_scored(place: Place, tmp_path: Path) -> None:
    put_scores(place, [score(number) for number in range(10)])
    put_labels(place, [label("T4", True)])
    since, until = NOON + timedelta(minutes=3), NOON + timedelta(minutes=6)
    out = tmp_path / "set.parquet"
    assert write_training_set(place, since, until, None, out) == 3
    found = pq.read_table(out)
    assert found["transaction_id"].to_pylist() == ["T3", "T4", "T5"]
    assert found[FEATURES[-1]].to_pylist() == [3.0, 4.0, 5.0]
    assert found["is_fraud"].to_pylist() == [None, True, None]
    # The label came a day later.
    for known_by, is_fraud in ((NOON + timedelta(hours=23), None), (NOON + timedelta(days=1), True)):
        write_training_set(place, since, until, known_by, out)
        assert pq.read_table(out)["is_fraud"].to_pylist() == [None, is_fraud, None]


def test_small_files_are_joined_and_nothing_is_lost(place: Place) -> None:
    for number in range(maintenance.SMALL_FILES):
        put_scores(place, [score(number)])
    assert maintenance.compact_small(place) == maintenance.SMALL_FILES - 1
    assert [each.files for each in maintenance.figures(place)] == [1]
    assert ask(place, "select count(*), count(distinct transaction_id) from transactions") == [(64, 64)]
    assert maintenance.clean(place, hours=0) >= maintenance.SMALL_FILES
    assert ask(place, "select count(*) from transactions") == [(64,)]


def test_small_files_stay_bounded_and_what_joining_leaves_behind_is_deleted(place: Place) -> None:
    upkeep, most = maintenance.Upkeep(place, days=None), 0
    for number in range(150):  # micro-batches, each with a file
        put_scores(place, [score(number)])
        if number % 30 == 29:
            upkeep.look()
        [found] = maintenance.figures(place)
        most = max(most, found.files)
    assert 60 < most < maintenance.SMALL_FILES + 30
    on_disk = [*Path(place.table(SCORES)).rglob("*.parquet")]
    assert len(on_disk) > 150
    maintenance.clean(place, hours=0)
    [found] = maintenance.figures(place)
    assert len([*Path(place.table(SCORES)).glob("day=*/*.parquet")]) == found.files
    assert ask(place, "select count(*), count(distinct transaction_id) from transactions") == [(150, 150)]


def test_the_archive_deletes_the_days_that_are_too_old_once_a_day(place: Place) -> None:
    today = datetime.now(UTC)
    times = [int((today - timedelta(days=days)).timestamp() * 1000) for days in range(6)]
    batch = {"value": [score(n, kafka_time=time) for n, time in enumerate(times)], "time": [times[0]] * 6}
    [rows] = ScoreRows([]).read(iter([pa.RecordBatch.from_pydict(batch)]))
    write_deltalake(place.table(SCORES), pa.Table.from_batches([rows]), partition_by=[DAY])
    upkeep = maintenance.Upkeep(place, days=3)
    upkeep.look()
    assert ask(place, "select transaction_id from transactions order by 1") == [("T0",), ("T1",), ("T2",), ("T3",)]
    version = maintenance.figures(place)[0].version
    upkeep.look()
    assert maintenance.figures(place)[0].version == version


def test_the_commands_keep_the_lake_small(place: Place) -> None:
    for number in range(5):
        put_scores(place, [score(number, kafka_time=NOON_MS - 86_400_000 * (number % 2))])

    def said(*arguments: str) -> str:
        done = runner.invoke(app, [*arguments, "--lake", place.uri])
        assert done.exit_code == 0, done.output
        return done.stdout

    assert said("status").splitlines()[1].split("\t")[:2] == ["scores", "5"]
    assert said("compact") == "5 files are now 2.\n"
    assert said("clean", "--hours", "0") == "5 files that nothing needs are gone.\n"
    assert len([*Path(place.table(SCORES)).glob("day=*/*.parquet")]) == 2
    assert said("retain", "--days", "1") == "The lake has the last 1 days.\n"
    assert said("clean", "--hours", "0") == "7 files that nothing needs are gone.\n"
    assert not [*Path(place.table(SCORES)).glob("day=*/*.parquet")]
    assert ask(place, "select count(*) from transactions") == [(0,)]


def test_a_version_that_is_settled_is_on_the_disk_whole(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    put_scores(place, [score(1), score(2, kafka_time=NOON_MS - 86_400_000)])
    synced: list[str] = []
    monkeypatch.setattr(
        "os.fsync", lambda descriptor: synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
    )
    table = Path(place.table(SCORES))
    settle(table)
    files = {str(path) for path in table.rglob("*.parquet")}
    assert len(files) == 2
    assert files | {str(table / "_delta_log/00000000000000000000.json"), str(table)} <= {*synced}


def test_days_that_are_too_old_are_deleted(place: Place) -> None:
    day_before = NOON_MS - 86_400_000
    put_scores(place, [score(1), score(2, kafka_time=day_before)])
    maintenance.delete_before(place, 1, now=NOON + timedelta(days=1))
    assert ask(place, "select day, transaction_id from transactions") == [(date(2026, 3, 2), "T1")]


def test_the_command_line_asks_and_says_in_one_line_what_is_wrong(place: Place, tmp_path: Path) -> None:
    put_scores(place, [score(1)])
    found = runner.invoke(app, ["sql", "select transaction_id, amount from transactions", "--lake", place.uri])
    assert found.stdout.splitlines() == ["transaction_id\tamount", "T1\t12.5"]
    wrong = runner.invoke(app, ["sql", "select * from nowhere", "--lake", place.uri])
    assert wrong.exit_code == 1
    assert wrong.stderr.startswith("error: Catalog Error")
    out = str(tmp_path / "set.parquet")
    made = runner.invoke(
        app, ["training-set", "--from", "2026-03-01", "--to", "2026-03-03", "--out", out, "--lake", place.uri]
    )
    assert made.stdout == f"1 transactions are in {out}.\n"
