"""Searches of a lake: found by every condition, stopped at their time, and never more than a few at once."""

from datetime import date, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pytest

from lake.place import LakeUnusable, Place
from page.errors import Refused, TooSlow
from page.search import lake_scores
from page.search.lake_scores import AT_ONCE, LakeScores
from page.search.wanted import Wanted
from tests.lake.written import START, START_MS, some_features, write_scores

N = 400


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """400 transactions, 100 a day, one every second of its day."""
    place = Place(str(tmp_path_factory.mktemp("lake")))
    number = np.arange(N)
    score = number / N
    days: list[date] = [(START + timedelta(days=int(each) // 100)).date() for each in number]
    write_scores(
        place,
        number // 100 * 86_400_000 + number % 100 * 1_000,
        some_features(N, 1),
        day=days,
        anomaly_score=score,
        is_anomaly=score >= 0.99,
        merchant_id=[f"M{each % 5}" for each in number],
    )
    return place


def ids(lake: Place, wanted: Wanted, limit: int = 50, skip: int = 0) -> list[str]:
    return [one.transaction_id for one in LakeScores(lake).find(wanted, limit, skip, 60.0)]


def test_each_condition_finds_what_it_says_newest_first_over_days(lake: Place) -> None:
    assert ids(lake, Wanted("lake"), 3, 99) == ["T300", "T299", "T298"]
    assert ids(lake, Wanted("lake", transaction="T123")) == ["T123"]
    assert ids(lake, Wanted("lake", customer="C3", merchant="M3")) == [f"T{n}" for n in (3,)]
    assert ids(lake, Wanted("lake", transaction="T39*"), 100) == [f"T{n}" for n in (*range(399, 389, -1), 39)]
    day = 86_400_000
    assert ids(lake, Wanted("lake", since=START_MS + day, until=START_MS + day + 2_000)) == ["T101", "T100"]
    assert ids(lake, Wanted("lake", alerts=True)) == ["T399", "T398", "T397", "T396"]
    assert ids(lake, Wanted("lake", order="score", below=0.5), 2) == ["T199", "T198"]
    assert len(ids(lake, Wanted("lake"), 1_000)) == N
    found = LakeScores(lake).find(Wanted("lake", transaction="T123"), 1, 0, 60.0)[0]
    assert (found.event_time, found.is_anomaly) == (START_MS + day + 23_000, False)


def test_a_search_that_takes_too_long_is_stopped_and_leaves_its_place_free(
    lake: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    searched = LakeScores(lake)
    endless = "(select count(*) from range(100000000000) a(x) where x % 7 = 9) = 0 and epoch_ms(event_time)"
    monkeypatch.setitem(lake_scores._SQL, "event_time", f"case when {endless} > 0 then 1 else 0 end")
    for _ in range(AT_ONCE + 1):
        with pytest.raises(TooSlow, match=r"stopped after 0\.3 s"):
            searched.find(Wanted("lake"), 5, 0, 0.3)
    monkeypatch.undo()
    assert searched.find(Wanted("lake", transaction="T1"), 5, 0, 60.0)


def test_more_than_a_few_at_once_are_refused(lake: Place) -> None:
    searched = LakeScores(lake)
    reading = [searched.rows(Wanted("lake"), 10_000, 60.0) for _ in range(AT_ONCE)]
    for one in reading:
        next(one)
    with pytest.raises(Refused, match="others are searching"):
        searched.find(Wanted("lake"), 5, 0, 60.0)
    for one in reading:
        one.close()  # type: ignore[attr-defined]
    assert searched.find(Wanted("lake"), 5, 0, 60.0)


def test_a_lake_that_is_not_there_yet_has_nothing_and_one_that_is_damaged_says_so(tmp_path: Path) -> None:
    assert LakeScores(Place(str(tmp_path / "nothing"))).find(Wanted("lake"), 5, 0, 60.0) == []
    log = tmp_path / "scores" / "_delta_log"
    log.mkdir(parents=True)
    (log / f"{0:020}.json").write_text("{")
    with pytest.raises(LakeUnusable):
        LakeScores(Place(str(tmp_path))).find(Wanted("lake"), 5, 0, 60.0)


def test_duckdb_says_that_it_was_interrupted() -> None:
    assert issubclass(duckdb.InterruptException, duckdb.Error)
