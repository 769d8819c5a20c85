"""The delay curve: what labels that are late and in part missing say of delays."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.features import DAY
from ml.quality.delays import DelayCurve


def seen(seed: int, frauds: int, days: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Delays of all of so many frauds in so many days, those that are known by now, and their ages."""
    rng = np.random.default_rng(seed)
    age = rng.integers(0, days * DAY, frauds)
    delay = (7 * DAY * np.exp(0.9 * rng.standard_normal(frauds))).astype(np.int64)
    known = delay <= age
    return delay, delay[known], age[known]


def test_the_curve_is_that_of_all_frauds_and_not_of_those_that_are_known_early() -> None:
    days = 60
    every, delays, ages = seen(0, 200_000, days)
    curve = DelayCurve.from_delays(delays, ages)
    within = every[every <= days * DAY]
    for after in (1, 3, 7, 14, 30):
        right = (within <= after * DAY).mean()
        found, _ = curve.ripeness(np.array([after * DAY]), np.ones(1))
        naive = (delays <= after * DAY).mean()
        assert found == pytest.approx(right, abs=0.015)
        assert abs(naive - right) > 2 * abs(found - right)


def test_the_variance_is_that_of_the_estimate() -> None:
    at = np.array([7 * DAY])
    found = [DelayCurve.from_delays(*seen(seed, 1_500, 45)[1:]).ripeness(at, np.ones(1)) for seed in range(150)]
    logs, variances = np.log([share for share, _ in found]), np.array([variance for _, variance in found])
    assert variances.mean() == pytest.approx(logs.var(), rel=0.35)


def test_without_a_label_nothing_is_said_of_ripeness() -> None:
    curve = DelayCurve.from_delays(np.empty(0, np.int64), np.empty(0, np.int64))
    assert np.isnan(curve.ripeness(np.array([DAY]), np.ones(1))).all()


def test_a_delay_above_its_age_is_refused() -> None:
    with pytest.raises(ValueError, match="above its age"):
        DelayCurve.from_delays(np.array([2]), np.array([1]))


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=1, max_size=60))
def test_shares_rise_to_one_for_any_delays(pairs: list[tuple[int, int]]) -> None:
    delays, more = np.array(pairs, np.int64).T
    curve = DelayCurve.from_delays(delays, delays + more)
    assert curve.shares[-1] == 1
    assert (np.diff(curve.shares) >= 0).all()
    assert (curve.shares > 0).all()
    assert np.isfinite(curve.variances).all()
    assert (np.diff(curve.variances) <= 0).all()
