"""Every (partition, offset) is accounted for, and every distinct point is counted once."""

from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from demo.accounts import Places, balanced, count_points_in_file, packed, unpacked

PLACE = st.tuples(st.integers(0, 31), st.integers(0, 2**47))


def places(*pairs: tuple[int, int]) -> Places:
    return np.array([packed(*pair) for pair in pairs], np.int64)


def test_equal_counts_do_not_hide_a_missing_transaction() -> None:
    accounts = balanced(places((0, 0), (0, 1)), places((0, 0), (0, 0)), places(), places())
    assert (accounts.generated, accounts.scored) == (2, 1)
    assert [unpacked(int(place)) for place in accounts.missing] == [(0, 1)]


def test_a_dead_letter_accounts_for_its_transaction() -> None:
    accounts = balanced(places((0, 7), (3, 7)), places((3, 7)), places((0, 7)), places((3, 7), (3, 7)))
    assert (len(accounts.missing), accounts.invalid, accounts.alerts) == (0, 1, 1)


@given(st.sets(PLACE), st.sets(PLACE), st.sets(PLACE))
def test_missing_is_the_difference_of_the_sets(
    sent: set[tuple[int, int]], scored: set[tuple[int, int]], dead: set[tuple[int, int]]
) -> None:
    accounts = balanced(places(*sent), places(*scored), places(*dead), places())
    assert {unpacked(int(place)) for place in accounts.missing} == sent - scored - dead


def test_points_in_a_file_are_distinct_by_measurement_tags_and_time(tmp_path: Path) -> None:
    file = tmp_path / "points.line"
    one = 'transaction_score,channel=a\\ b,merchant_category=x anomaly_score=0.5,customer_id="c 1" 17\n'
    file.write_text(
        one
        + one
        + one.replace(" 17\n", " 18\n")
        + one.replace("category=x", "category=y")
        + "alert,channel=a amount=1 17\nthroughput scored=3i 17\n"
    )
    assert count_points_in_file(file) == 3


def test_a_file_that_was_never_written_has_no_points(tmp_path: Path) -> None:
    assert count_points_in_file(tmp_path / "points.line") == 0
