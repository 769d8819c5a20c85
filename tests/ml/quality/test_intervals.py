"""Intervals hold their 95 %."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.quality.intervals import Interval, part_of_both

COUNT = st.integers(0, 5_000)


def test_the_interval_of_a_count_is_garwoods() -> None:
    value, low, high = Interval.of_count(10)
    assert (value, round(low, 3), round(high, 3)) == (10, 4.795, 18.390)
    assert Interval.of_count(0)[1:] == (0, pytest.approx(3.689, abs=1e-3))


def test_the_interval_of_a_share_is_clopper_and_pearsons() -> None:
    assert [round(bound, 4) for bound in Interval.of_share(10, 20)[1:]] == [0.2720, 0.7280]


@given(COUNT, COUNT)
def test_an_estimate_is_within_its_interval_and_a_part_within_0_and_1(one: int, other: int) -> None:
    first, second = Interval.of_count(one).over(0.7, 0.01), Interval.of_count(other)
    together, part = first.plus(second), part_of_both(first, second)
    assert together.low <= together.value <= together.high
    assert 0 <= part.low <= part.high <= 1
    if one + other:
        assert part.low <= part.value <= part.high


@pytest.mark.parametrize(("expected", "other"), [(3.0, 8.0), (60.0, 40.0), (20.0, 0.7)])
def test_a_part_of_two_counts_is_covered(expected: float, other: float) -> None:
    rng = np.random.default_rng(5)
    drawn = [part_of_both(*(Interval.of_count(int(n)) for n in rng.poisson((expected, other)))) for _ in range(1_000)]
    truth = expected / (expected + other)
    assert np.mean([each.low <= truth <= each.high for each in drawn]) >= 0.95
