"""What complaints say of a merchant."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from generator.arrays import Array
from generator.scenarios.chargebacks import BEFORE, DAYS, chargebacks

ROWS = st.lists(
    st.tuples(st.integers(0, 3), st.integers(100, 180), st.one_of(st.just(-1), st.integers(100, 220))), max_size=40
)


def columns(rows: list[tuple[int, int, int]]) -> tuple[Array, Array, Array]:
    made = np.array(rows, np.int64).reshape(len(rows), 3)
    return made[:, 0], made[:, 1], made[:, 2]


@given(ROWS)
def test_it_is_the_share_of_complaints_of_the_month_before(rows: list[tuple[int, int, int]]) -> None:
    expected = []
    for key, day, _ in rows:
        own = [(paid, known) for other, paid, known in rows if other == key]
        complaints = sum(day - DAYS <= known < day for _, known in own if known >= 0)
        paid = sum(day - DAYS <= paid < day for paid, _ in own)
        expected.append(complaints / (paid + BEFORE))
    assert chargebacks(*columns(rows)).tolist() == expected


@given(ROWS, st.integers(0, 60))
def test_a_complaint_that_comes_later_changes_nothing_before(rows: list[tuple[int, int, int]], days: int) -> None:
    key, day, known = columns(rows)
    later = np.where(known >= 0, known + days, known)
    for row in np.flatnonzero(known >= 0):
        moved = known.copy()
        moved[row] = later[row]
        before = day <= known[row]
        assert (chargebacks(key, day, known)[before] == chargebacks(key, day, moved)[before]).all()
