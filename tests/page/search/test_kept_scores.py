"""What the page keeps of the live feed: found by every condition, bounded by number and age, and never in the way."""

import sqlite3
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from page.errors import TooSlow
from page.search.kept_scores import KeptScores
from page.search.wanted import Wanted
from tests.page.search.payments import START, payment

MS = int(START.timestamp() * 1000)


class Clock:
    """A clock that a test sets."""

    now = 1_000_000

    def __call__(self) -> int:
        return self.now


def kept_in(folder: Path, most: int = 10_000, hours: float = 1.0, clock: Clock | None = None) -> KeptScores:
    return KeptScores(folder / "scores.db", most, hours, clock or Clock())


def ids(kept: KeptScores, wanted: Wanted, limit: int = 50, skip: int = 0) -> list[str]:
    return [one.transaction_id for one in kept.find(wanted, limit, skip, 60.0)]


def test_each_condition_finds_what_it_says_newest_first(tmp_path: Path) -> None:
    kept = kept_in(tmp_path)
    kept.add([payment(number) for number in range(200)])
    assert ids(kept, Wanted(), 3) == ["T199", "T198", "T197"]
    assert ids(kept, Wanted(), 2, 3) == ["T196", "T195"]
    assert ids(kept, Wanted(transaction="T7")) == ["T7"]
    assert ids(kept, Wanted(transaction="T19*")) == [f"T{n}" for n in (*range(199, 189, -1), 19)]
    assert ids(kept, Wanted(customer="C3", merchant="M5")) == ["T192", "T115", "T38"]
    assert ids(kept, Wanted(since=MS + 10_000, until=MS + 13_000)) == ["T12", "T11", "T10"]
    assert ids(kept, Wanted(alerts=True)) == [f"T{n}" for n in (*range(199, 194, -1), *range(99, 94, -1))]
    assert ids(kept, Wanted(score=0.98, below=0.99)) == ["T198", "T98"]
    assert ids(kept, Wanted(order="score"), 2) == ["T199", "T99"]
    assert kept.span() == (200, MS, MS + 199_000)


def test_what_comes_again_is_kept_once_and_also_after_a_restart(tmp_path: Path) -> None:
    kept = kept_in(tmp_path)
    for _ in range(2):
        kept.add([payment(number) for number in range(10)])
        kept.close()
    assert kept_in(tmp_path).span().number == 10


def test_a_topic_that_is_made_again_is_kept_from_its_beginning(tmp_path: Path) -> None:
    kept = kept_in(tmp_path)
    kept.add([payment(number) for number in range(100)])
    kept.begin(dict.fromkeys(range(4), 100))
    kept.add([payment(7)])
    assert kept.span().number == 100
    kept.begin(dict.fromkeys(range(4), 20))
    kept.add([payment(7)])
    assert ids(kept, Wanted(transaction="T7")) == ["T7", "T7"]


def test_what_is_found_is_in_order_however_it_came_over_many_segments(tmp_path: Path) -> None:
    kept = kept_in(tmp_path, most=2_000)  # segments of 100
    numbers = [number * 617 % 1_200 for number in range(1_200)]
    for start in range(0, 1_200, 60):
        kept.add([payment(one, partition=0, offset=at) for at, one in enumerate(numbers[start : start + 60], start)])
    newest = [f"T{number}" for number in range(1_199, -1, -1)]
    assert ids(kept, Wanted(), 2_000) == newest
    assert ids(kept, Wanted(), 50, 700) == newest[700:750]
    by_score = [one.anomaly_score for one in kept.find(Wanted(order="score"), 2_000, 0, 60.0)]
    assert by_score == sorted(by_score, reverse=True)
    assert [len(piece) for piece in kept.rows(Wanted(), 2_000, 60.0)] == [1_000, 200]
    (judged,) = kept.judges()
    assert (judged.model_version, judged.transactions) == (
        3,
        240,
    )  # of two segments: each took the second 60 beyond its 100


def test_the_oldest_leave_by_number_and_by_age(tmp_path: Path) -> None:
    clock = Clock()
    kept = kept_in(tmp_path, most=1_000, clock=clock)
    for number in range(0, 3_000, 500):
        kept.add([payment(each) for each in range(number, number + 500)])
    assert kept.span() == (1_000, MS + 2_000_000, MS + 2_999_000)
    clock.now += 3_600_001
    kept.add([payment(5_000)])
    assert ids(kept, Wanted()) == ["T5000"]


@pytest.mark.parametrize("damage", [b"this is no database" * 100, b""])
def test_a_damaged_file_begins_again_empty(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "scores.db").write_bytes(damage)
    kept = kept_in(tmp_path)
    kept.add([payment(1)])
    assert ids(kept, Wanted()) == ["T1"]


def test_a_file_of_another_release_begins_again_empty(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "scores.db") as other:
        other.execute("create table scores (number integer)")
    kept = kept_in(tmp_path)
    kept.add([payment(1)])
    assert ids(kept, Wanted()) == ["T1"]


def test_a_search_that_takes_too_long_is_stopped(tmp_path: Path) -> None:
    kept = kept_in(tmp_path)
    kept.add([payment(number) for number in range(9_000)])
    with pytest.raises(TooSlow, match="stopped after 0 s"):
        kept.find(Wanted(merchant="M*", below=-1.0), 50, 0, 0.0)


def test_hostile_texts_and_times_are_kept_bounded_and_found(tmp_path: Path) -> None:
    kept = kept_in(tmp_path)
    long, early = "x" * 1_000_000, START.replace(year=1, month=1) + timedelta(0)
    kept.add(
        [payment(1, merchant_id=long, customer_id="'; drop table scores --", transaction_id="a\0b", event_time=early)]
    )
    found = kept.find(Wanted(customer="'; drop table scores --"), 5, 0, 60.0)[0]
    assert len(found.merchant_id or "") == 256
    assert found.transaction_id == "a\ufffdb"


def test_before_anything_is_kept_nothing_is_found(tmp_path: Path) -> None:
    assert ids(kept_in(tmp_path), Wanted()) == []
    assert kept_in(tmp_path).span().number == 0


def test_a_kill_in_the_middle_leaves_a_file_that_opens_with_what_was_added_before(tmp_path: Path) -> None:
    program = (
        "import sys, itertools; from pathlib import Path; from page.search.kept_scores import KeptScores\n"
        "from tests.page.search.payments import payment\n"
        "kept = KeptScores(Path(sys.argv[1]), 2_000, 1.0, lambda: 1)\n"
        "for piece in itertools.count():\n"
        "    kept.add([payment(500 * piece + number) for number in range(500)]); print(piece, flush=True)\n"
    )
    for name in ("once", "again"):
        writer = subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path / name / "scores.db")], stdout=subprocess.PIPE
        )
        assert writer.stdout is not None
        for _ in range(7):
            last = int(writer.stdout.readline())
        writer.kill()
        writer.wait()
        writer.stdout.close()
        kept = kept_in(tmp_path / name)
        assert kept.span().number == 2_000
        assert ids(kept, Wanted(transaction=f"T{500 * last + 499}")) == [f"T{500 * last + 499}"]
        kept.add([payment(10_000_000)])
        assert ids(kept, Wanted(transaction="T10000000")) == ["T10000000"]
