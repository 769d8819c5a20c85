"""The lake on an S3 server: asked, kept small and copied as on a disk, and written by several at once."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from lake import maintenance
from lake.commits import steps
from lake.place import Place
from lake.training_set import write_training_set
from tests.lake.test_lake import NOON, ask, label, put_labels, put_scores, score
from tests.support.s3 import S3


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    running = S3(tmp_path_factory.mktemp("s3"))
    running.start()
    yield running
    running.stop()


@pytest.fixture
def place(server: S3, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Place:
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    return Place(f"s3a://{server.bucket}/{request.node.name}")


def test_it_is_asked_and_trained_on(place: Place, tmp_path: Path) -> None:
    put_scores(place, [score(number) for number in range(5)])
    put_labels(place, [label("T2", True)])
    assert ask(place, "select transaction_id from training_data where is_fraud") == [("T2",)]
    out = tmp_path / "set.parquet"
    assert write_training_set(place, NOON, NOON.replace(hour=13), None, out) == 5
    assert pq.read_table(out)["is_fraud"].to_pylist() == [None, None, True, None, None]


def test_it_is_kept_small(place: Place) -> None:
    for number in range(6):
        put_scores(place, [score(number)])
    with place.writing():
        maintenance.compact(place)
        assert [each.files for each in maintenance.figures(place)] == [1]
        assert maintenance.clean(place, hours=0) == 6
    assert ask(place, "select count(*) from transactions") == [(6,)]


def test_what_each_version_added_is_read_from_its_log(place: Place) -> None:
    for number in range(3):
        put_scores(place, [score(number)])
    [table] = maintenance.tables(place).values()
    assert [len(step.files) for step in steps(table, 0)] == [1, 1]


def test_of_several_that_write_at_once_none_overwrites_another(place: Place) -> None:
    put_scores(place, [score(0)])
    with ThreadPoolExecutor(4) as writers:
        list(writers.map(lambda number: put_scores(place, [score(number)]), range(1, 21)))
    assert ask(place, "select count(*), count(distinct transaction_id) from transactions") == [(21, 21)]
