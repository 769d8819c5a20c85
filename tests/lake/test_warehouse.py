"""The lake's views on a real PostgreSQL: each row once, whatever is interrupted, and found by indexes."""

import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from deltalake import DeltaTable
from typer.testing import CliRunner

from jobs.warehousing import Warehousing
from lake import maintenance, warehouse
from lake.__main__ import app
from lake.place import Place
from lake.rows import SCORES
from lake.views import connect
from lake.warehouse import export
from lake.warehouse_tables import DESIGN
from ml.features import FEATURES
from tests.lake.test_lake import NOON, NOON_MS, label, put_labels, put_scores, score
from tests.support.postgres import Postgres, postgres


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with postgres() as running:
        yield running


@pytest.fixture
def address(server: Postgres) -> str:
    with psycopg.connect(server.address, autocommit=True) as connection:
        connection.execute("drop schema if exists scoreline cascade")
    return server.address


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(str(tmp_path / "lake"))


def ask(address: str, query: str, options: str = "") -> list[tuple[Any, ...]]:
    with psycopg.connect(address, options=f"-c search_path=scoreline -c timezone=UTC {options}") as connection:
        return connection.execute(query.encode()).fetchall()


def check_same(place: Place, address: str) -> None:
    """Each table has the rows of the lake's view, in all columns."""
    with connect(place) as lake:
        for view in DESIGN:
            names = [name for name, *_ in lake.execute(f"describe {view}").fetchall()]
            listed = ", ".join(f'"{name}"' for name in names)
            as_text = ", ".join(f'"{name}"::text' if name in ("reasons", "extras") else f'"{name}"' for name in names)
            wanted = lake.execute(f"select {listed} from {view}").fetchall()
            assert plain(ask(address, f"select {as_text} from {view}")) == plain(wanted), view


def plain(rows: list[tuple[Any, ...]]) -> list[str]:
    """Rows in an order of their own; times as texts, whatever class their time zone has."""
    return sorted(repr([one.isoformat() if isinstance(one, datetime) else one for one in row]) for row in rows)


def some(place: Place) -> None:
    reasons = [{"feature": "log_amount", "value": 7.5, "low": 1.0, "high": 5.0}]
    put_scores(
        place,
        [
            score(1, is_anomaly=True, reasons=reasons, extras={"age": 41.5}),
            score(2, transaction_id='a "quoted",\nname', device_id="", merchant_id="\\N"),
            score(3, kafka_time=NOON_MS - 86_400_000, latitude=48.85, longitude=2.35),
        ],
    )


def test_the_tables_have_what_the_views_have_and_a_second_time_nothing_is_copied(place: Place, address: str) -> None:
    assert export(place, address) == {}  # no lake yet
    some(place)
    put_labels(place, [label("T1", True), label("T1", False, "chargeback")])
    assert export(place, address) == {"transactions": 3, "predictions": 3, "training_data": 3, "labels": 2}
    check_same(place, address)
    assert export(place, address) == {}
    put_scores(place, [score(4)])
    assert export(place, address)["transactions"] == 1
    check_same(place, address)


def test_a_label_that_comes_later_or_is_withdrawn_changes_the_training_data(place: Place, address: str) -> None:
    some(place)
    export(place, address)
    put_labels(place, [label("T1", True), label("T3", True), label("nobody's", True)])
    assert export(place, address) == {"labels": 3}
    assert ask(address, "select transaction_id, is_fraud from training_data where is_fraud order by 1") == [
        ("T1", True),
        ("T3", True),
    ]
    put_labels(place, [label("T1", None, days=4)], first=3, archived_at=NOON_MS + 86_400_000)
    export(place, address)
    assert ask(address, "select transaction_id from training_data where is_fraud") == [("T3",)]
    check_same(place, address)


def test_compacted_files_are_not_copied_again_and_a_deleted_log_does_no_harm(place: Place, address: str) -> None:
    for number in range(5):
        put_scores(place, [score(number)])
    export(place, address)
    maintenance.compact(place)
    assert export(place, address) == {}
    for number in range(5, 9):
        put_scores(place, [score(number)])
    log = DeltaTable(place.table(SCORES))
    log.create_checkpoint()
    (Path(place.table(SCORES)) / "_delta_log" / f"{log.version() - 1:020}.json").unlink()
    assert export(place, address)["transactions"] == 4
    check_same(place, address)


def test_what_was_interrupted_goes_on_where_it_was(place: Place, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(6):
        put_scores(place, [score(number)])
        if number == 2:
            export(place, address)
    noted: list[int] = []
    note = warehouse._note

    def fail_at_the_second(server: Any, identity: str, name: str, version: int) -> None:
        noted.append(version)
        if len(noted) == 2:
            raise KeyboardInterrupt
        note(server, identity, name, version)

    monkeypatch.setattr(warehouse, "_note", fail_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        export(place, address)
    assert ask(address, "select count(*) from transactions") == [(4,)]
    monkeypatch.undo()
    assert export(place, address)["transactions"] == 2
    check_same(place, address)


def test_a_character_that_postgresql_does_not_know_is_replaced(place: Place, address: str) -> None:
    put_scores(place, [score(1, transaction_id="a\x00b")])
    export(place, address)
    assert ask(address, "select transaction_id from transactions") == [("a�b",)]


def test_rows_are_in_partitions_of_days_and_found_by_indexes(place: Place, address: str) -> None:
    put_scores(place, [score(number, kafka_time=NOON_MS + 600_000 * number) for number in range(280)])
    put_labels(place, [label(f"T{number}", True) for number in range(10)])
    export(place, address)
    days = ask(address, "select inhrelid::regclass::text from pg_inherits where inhparent = 'transactions'::regclass")
    assert len(days) == 3
    first = f"transactions_{NOON:%Y%m%d}"
    assert (first,) in days
    for query in (
        "select * from transactions where transaction_id = 'T7'",
        "select * from predictions where transaction_id = 'T7'",
        "select * from training_data where transaction_id = 'T7'",
        "select * from labels where transaction_id = 'T7'",
        "select * from transactions where customer_id = 'C1' order by event_time desc limit 20",
        "select * from predictions where is_anomaly order by event_time desc limit 20",
    ):
        plan = "\n".join(line for (line,) in ask(address, f"explain {query}", "-c enable_seqscan=off"))
        assert "Index" in plan, plan
        assert "Seq Scan" not in plan, plan
    day = (NOON + timedelta(days=1)).date()
    plan = "\n".join(line for (line,) in ask(address, f"explain select * from transactions where day = '{day}'"))
    assert f"transactions_{day:%Y%m%d}" in plan
    assert first not in plan


def test_features_stand_under_their_names(place: Place, address: str) -> None:
    put_scores(place, [score(3)])
    export(place, address)
    assert ask(address, f"select {FEATURES[0]}, {FEATURES[-1]} from training_data") == [(3.0, 3.0)]


def test_the_command_copies_and_says_in_one_line_what_is_wrong(
    place: Place, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_scores(place, [score(1)])
    runner = CliRunner()
    assert runner.invoke(app, ["export", "--lake", place.uri]).exit_code == 2
    monkeypatch.setenv("SCORELINE_WAREHOUSE", address)
    done = runner.invoke(app, ["export", "--lake", place.uri])
    assert done.stdout == "Copied: 1 transactions, 1 predictions, 1 training_data.\n"
    assert runner.invoke(app, ["export", "--lake", place.uri]).stdout == "Copied: nothing new.\n"
    monkeypatch.setenv("SCORELINE_WAREHOUSE", "postgresql://127.0.0.1:1/none")
    failed = runner.invoke(app, ["export", "--lake", place.uri])
    assert (failed.exit_code, failed.stderr.count("\n")) == (1, 1)
    assert failed.stderr.startswith("error: ")


def test_while_the_database_is_unavailable_nothing_is_lost(
    place: Place, address: str, server: Postgres, caplog: pytest.LogCaptureFixture
) -> None:
    wanted = threading.Event()
    wanted.set()
    server.kill()
    try:
        Warehousing(place, address, 0.05).poll(wanted.is_set)
        put_scores(place, [score(1)])
        wait_until(lambda: "the warehouse is unavailable" in caplog.text)
        put_scores(place, [score(2)])
    finally:
        server.start()
    caplog.set_level("INFO")
    wait_until(lambda: "the warehouse is back" in caplog.text)
    wanted.clear()
    check_same(place, address)


def wait_until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.05)
