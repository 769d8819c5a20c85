"""Distances and chances agree with SciPy, and hold their level where nothing has changed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from scipy.spatial import distance

from ml.drift.distances import chance_psi, chi_square, jensen_shannon, kolmogorov_smirnov, p_value, psi

COUNTS = arrays(np.int64, 6, elements=st.integers(0, 10_000))


@given(COUNTS, COUNTS)
def test_distances_are_symmetric_not_negative_and_0_of_the_same(one: np.ndarray, other: np.ndarray) -> None:
    for measure in (psi, jensen_shannon, kolmogorov_smirnov):
        assert measure(one, other) >= -1e-12
        assert measure(one, other) == pytest.approx(measure(other, one))
        assert measure(one, one) == pytest.approx(0, abs=1e-12)
    assert jensen_shannon(one, other) <= 1 + 1e-9


@given(COUNTS, COUNTS)
def test_bins_that_nobody_uses_change_nothing(one: np.ndarray, other: np.ndarray) -> None:
    wide = [np.append(each, [0, 0, 0]) for each in (one, other)]
    for measure in (psi, jensen_shannon, kolmogorov_smirnov):
        assert measure(*wide) == pytest.approx(measure(one, other))
    assert [each.item() for each in chi_square(*wide)] == pytest.approx(
        [each.item() for each in chi_square(one, other)]
    )


def test_they_are_scipys() -> None:
    one, other = np.array([40_000, 30_000, 30_000]), np.array([10_000, 60_000, 30_000])
    shares = one / one.sum(), other / other.sum()
    assert jensen_shannon(one, other) == pytest.approx(distance.jensenshannon(*shares, base=2) ** 2, abs=1e-4)
    values = np.repeat([0, 1, 2], one), np.repeat([0, 1, 2], other)
    assert kolmogorov_smirnov(one, other) == pytest.approx(stats.ks_2samp(*values, method="asymp").statistic)
    found = stats.chi2_contingency(np.stack([one, other]), correction=False)
    statistic, freedom = chi_square(one, other)
    assert (statistic, freedom) == (pytest.approx(found.statistic), found.dof)
    assert psi(one, other) == pytest.approx((shares[0] - shares[1]) @ np.log(shares[0] / shares[1]), abs=1e-4)


def test_where_nothing_has_changed_chances_are_as_often_below_a_level_as_it_says() -> None:
    rng = np.random.default_rng(1)
    shares = np.array([0.5, 0.2, 0.15, 0.1, 0.05])
    window, reference = rng.multinomial(500, shares, 4_000), rng.multinomial(3_000, shares, 4_000)
    chances = p_value(*chi_square(window, reference), np.ones(4_000))
    for level in (0.01, 0.1, 0.5):
        assert (chances <= level).mean() == pytest.approx(level, rel=0.25)
    assert psi(window, reference).mean() == pytest.approx(chance_psi(window, reference, np.ones(1)).mean(), rel=0.1)


def test_payments_in_groups_need_their_dispersion() -> None:
    """Each customer makes ten alike: without it, ten times too sure."""
    rng = np.random.default_rng(2)
    window, reference = 10 * rng.multinomial(100, [0.6, 0.4], 2_000), 10 * rng.multinomial(300, [0.6, 0.4], 2_000)
    statistic = chi_square(window, reference)
    assert (p_value(*statistic, np.ones(1)) <= 0.01).mean() > 0.2
    assert (p_value(*statistic, np.full(1, 10.0)) <= 0.01).mean() == pytest.approx(0.01, abs=0.006)
