"""Which rows without a label are likely fraud all the same, so that no detector learns that they are honest."""

import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.arrays import Flags, Floats
from ml.detectors.unlabelled import look_alikes
from ml.thresholds.decline import LEAST

ROWS = 20_000


def bank(known_share: float, seed: int = 1) -> tuple[Floats, Flags, Flags]:
    """Chances that rows are fraud, the truth, and what labels say where they know so much of it."""
    random = np.random.default_rng(seed)
    chance = random.beta(0.05, 4.0, ROWS)
    chance[::40] = random.beta(8.0, 0.4, len(chance[::40]))
    is_fraud = random.random(ROWS) < chance
    return chance, is_fraud, is_fraud & (random.random(ROWS) < known_share)


@pytest.mark.parametrize("known_share", [0.2, 0.5, 0.8])
def test_what_is_left_out_is_mostly_fraud_whatever_share_of_the_frauds_is_known(known_share: float) -> None:
    chance, is_fraud, known = bank(known_share)
    left_out = look_alikes(known_share * chance, known)
    assert not (left_out & known).any()
    assert is_fraud[left_out].mean() > 0.7
    assert is_fraud[left_out].sum() > 0.6 * (is_fraud & ~known).sum()


def test_where_all_frauds_are_known_nothing_is_left_out() -> None:
    chance, is_fraud, _ = bank(1.0)
    sure = np.where(is_fraud, 1 - 1e-9, 0.5 * chance)
    assert not look_alikes(sure, is_fraud).any()


@settings(deadline=None)
@given(arrays.arrays(np.float64, 200, elements=st.floats(0, 1)), st.integers(0, LEAST - 1))
def test_with_too_few_known_frauds_nothing_is_left_out(probability: Floats, frauds: int) -> None:
    assert not look_alikes(probability, np.arange(200) < frauds).any()
