"""The reserve: which transactions are reviewed at random."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.quality.reserve import in_reserve

IDS = [f"T{number}" for number in range(40_000)]


def test_about_the_share_is_reserved() -> None:
    assert in_reserve(IDS, 0.005).mean() == pytest.approx(0.005, rel=0.2)
    assert not in_reserve(IDS, 0.0).any()


@given(st.floats(0, 0.01), st.floats(0, 0.01))
def test_a_larger_share_reserves_all_of_a_smaller_one(one: float, other: float) -> None:
    small, large = sorted((one, other))
    few, many = in_reserve(IDS[:2_000], small), in_reserve(IDS[:2_000], large)
    assert (many | ~few).all()


@pytest.mark.parametrize("share", [-0.1, 0.02])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="reserved for review"):
        in_reserve(["T1"], share)
