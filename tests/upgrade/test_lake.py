"""A lake whose tables lack a column that a newer release has: it is read, and nulls stand there."""

import tarfile
from pathlib import Path
from typing import Final

import pytest
from deltalake import DeltaTable

from lake.maintenance import compact
from lake.place import Place
from lake.rows import SCORE_ROW, SCORES
from lake.views import connect
from page.search.lake_scores import LakeScores
from page.search.wanted import Wanted
from watch.lake_window import live_scores

ARCHIVE: Final = Path(__file__).with_name("lake-7901188.tar.xz")
"""Of commit 7901188, as `record_lake.py` made it there: 30 scores without the column `champion`, and a label of each."""


def old_lake(folder: Path) -> Place:
    """A copy of it in a folder."""
    with tarfile.open(ARCHIVE) as packed:
        packed.extractall(folder, filter="data")
    return Place(str(folder))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return old_lake(tmp_path / "lake")


def test_it_is_older_than_the_column(place: Place) -> None:
    assert "champion" not in {field.name for field in DeltaTable(place.table(SCORES)).schema().fields}


def test_its_views_have_nulls_where_a_column_is_newer(place: Place) -> None:
    with connect(place) as lake:
        found = lake.execute(
            "select count(*), count(champion), count(challenger), min(day) from predictions"
        ).fetchone()
        frauds = lake.execute(
            "select count(*) from training_data where is_fraud and day > date '2026-03-02'"
        ).fetchone()
        columns = [name for name, *_ in lake.execute("describe scores").fetchall()]
    assert found is not None
    assert (*found[:3], str(found[3])) == (30, 0, 30, "2026-03-02")
    assert frauds == (6,)
    assert set(columns) == set(SCORE_ROW.names)


def test_the_watcher_and_the_page_read_it(place: Place) -> None:
    assert live_scores(place, 3) == []
    assert len(LakeScores(place).find(Wanted("lake"), 100, 0, 60.0)) == 30


def test_it_can_be_compacted(place: Place) -> None:
    compact(place)
    with connect(place) as lake:
        assert lake.execute("select count(*) from scores where champion is null").fetchone() == (30,)
