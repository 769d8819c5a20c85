"""The decline threshold: above it nearly all is fraud, however few of the frauds are known yet."""

import numpy as np
import pytest

from ml.arrays import Flags, Floats
from ml.thresholds.decline import LEAST, PRECISION, Declines, declines


def scored(rows: int, seed: int) -> tuple[Floats, Flags]:
    """Scores, and the truth about them: a score is the probability of fraud."""
    random = np.random.default_rng(seed)
    scores = random.beta(0.05, 4.0, rows)
    scores[: rows // 50] = random.beta(8.0, 0.4, rows // 50)
    return scores, random.random(rows) < scores


@pytest.mark.parametrize("known_share", [1.0, 0.7, 0.4])
def test_what_is_declined_is_fraud_in_95_of_100_cases_whatever_share_of_the_frauds_is_known(known_share: float) -> None:
    scores, is_fraud = scored(200_000, 1)
    known = is_fraud & (np.random.default_rng(2).random(len(scores)) < known_share)
    found = declines(scores, known)
    assert found.known == pytest.approx(known_share, abs=0.06)
    later, truth = scored(200_000, 3)
    assert found.threshold is not None
    precision = truth[later > found.threshold].mean()
    assert PRECISION - 0.01 < precision < PRECISION + 0.04


def test_of_a_detector_that_ranks_badly_less_is_declined() -> None:
    random = np.random.default_rng(1)
    is_fraud = random.random(100_000) < 0.015
    scores = 1 / (1 + np.exp(-random.normal(size=len(is_fraud)) - 2.6 * is_fraud))
    found = declines(scores, is_fraud)
    assert found.threshold is not None
    assert is_fraud[scores > found.threshold].mean() > PRECISION - 0.05


def test_share_and_recall_are_those_of_the_rows_above_it() -> None:
    scores, is_fraud = scored(100_000, 4)
    threshold, share, recall, known = declines(scores, is_fraud)
    assert threshold is not None
    declined = scores > threshold
    assert (share, recall) == (declined.mean(), is_fraud[declined].sum() / is_fraud.sum())
    assert known is not None
    assert is_fraud[declined].mean() >= PRECISION * known


def test_with_too_few_known_frauds_nothing_is_declined() -> None:
    scores, is_fraud = scored(100_000, 5)
    few = is_fraud & (np.cumsum(is_fraud) < LEAST)
    assert declines(scores, few) == Declines()
    assert declines(np.empty(0), np.empty(0, np.bool_)) == Declines()


def test_what_is_declined_is_an_alert_too() -> None:
    scores, is_fraud = scored(100_000, 6)
    assert declines(scores, is_fraud, least=0.999).threshold == 0.999


def test_rows_of_one_score_are_declined_together_or_not_at_all() -> None:
    scores = np.repeat([0.9, 0.5, 0.1], [LEAST, 40, 1000])
    is_fraud = np.repeat([True, True, False], [LEAST, 20, 1020])
    assert declines(scores, is_fraud).threshold == 0.5
