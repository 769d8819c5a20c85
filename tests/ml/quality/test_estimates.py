"""Corrected estimates cover the truth where it is known: in a simulation of late, lacking and biased labels."""

from typing import Any

import numpy as np
import pytest

from ml.evaluation.estimates import Estimate
from ml.features import DAY, HOUR
from ml.quality.estimates import Curves, Frauds, Quality, Traffic, quality

DAYS = 40
A_DAY = 20_000
RECALL, NEVER, REVIEW = 0.6, 0.25, 0.01


class Simulated:
    """Forty days of which the truth is known: analysts look at alerts within hours; what was missed is reported after weeks, or
    never; 1 % of what was not alerted is reviewed."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        n = rng.poisson(120 * DAYS)
        self.time = rng.integers(0, DAYS * DAY, n)
        self.is_alert = rng.random(n) < RECALL
        self.amount = rng.lognormal(5, 1.2, n)
        delay = np.where(self.is_alert, 0.5, 9.0) * DAY * np.exp(0.9 * rng.standard_normal(n))
        self.reported = self.is_alert | (rng.random(n) >= NEVER)
        in_reserve = ~self.is_alert & (rng.random(n) < REVIEW)
        known = self.reported & (delay <= DAYS * DAY - self.time)
        by_review = in_reserve & ~known
        rows = known | by_review
        since = self.time + np.where(known, delay, HOUR).astype(np.int64)
        self.frauds = Frauds(self.time[rows], since[rows], self.amount[rows], self.is_alert[rows], by_review[rows])
        self.curves = Curves.from_frauds(self.frauds, DAYS * DAY)

    def quality(self, first: int, end: int) -> Quality:
        inside = (self.frauds.time >= first * DAY) & (self.frauds.time < end * DAY)
        hours = np.arange(first * 24, end * 24) * HOUR + HOUR // 2
        transactions, alerts = np.full(len(hours), A_DAY // 24), np.full(len(hours), 5)
        reviewed = round(REVIEW * (transactions - alerts).sum())
        return quality(self.frauds.of(inside), Traffic(hours, transactions, alerts, reviewed), self.curves, REVIEW)

    def of_days(self, values: np.ndarray, first: int, end: int) -> Any:
        return values[(self.time >= first * DAY) & (self.time < end * DAY)]


def covers(estimate: Estimate, truth: float) -> bool:
    assert estimate.low is not None
    return estimate.low <= truth and (estimate.high is None or truth <= estimate.high)


@pytest.fixture(scope="module")
def simulated() -> list[Simulated]:
    return [Simulated(seed) for seed in range(60)]


def test_recall_of_a_day_is_covered_and_without_correction_is_not(simulated: list[Simulated]) -> None:
    """A day of a week ago: the alerted frauds are known, of the others less than half."""
    day, covered, corrected, known = DAYS - 8, [], [], []
    for each in simulated:
        found = each.quality(day, day + 1)
        reported = each.of_days(each.is_alert[...], day, day + 1)[each.of_days(each.reported, day, day + 1)]
        covered.append(covers(found.recall, reported.mean()))
        corrected.append((found.recall.value or 0.0) - reported.mean())
        known.append((found.known_recall or 0.0) - reported.mean())
    assert np.mean(covered) >= 0.95
    assert abs(np.mean(corrected)) < 0.02
    assert np.mean(known) > 0.08


def test_recall_of_all_frauds_is_covered_by_the_review_at_random(simulated: list[Simulated]) -> None:
    """Also of those that nobody ever reports: over all days, as the reserve is small."""
    found = [each.quality(0, DAYS) for each in simulated]
    truths = [each.is_alert.mean() for each in simulated]
    assert np.mean([covers(each.recall_of_all, truth) for each, truth in zip(found, truths, strict=True)]) >= 0.93
    off = [(each.recall_of_all.value or 0.0) - truth for each, truth in zip(found, truths, strict=True)]
    assert abs(np.mean(off)) < 0.015
    assert np.mean([(each.recall.value or 0.0) - truth for each, truth in zip(found, truths, strict=True)]) > 0.04


@pytest.mark.parametrize("day", [DAYS - 25, DAYS - 10, DAYS - 3])
def test_ripeness_is_the_share_that_is_known(simulated: list[Simulated], day: int) -> None:
    known, reported = 0, 0
    for each in simulated:
        known += each.quality(day, day + 1).known_frauds
        reported += each.of_days(each.reported, day, day + 1).sum()
    found = np.mean([each.quality(day, day + 1).ripeness or 0.0 for each in simulated])
    assert found == pytest.approx(known / reported, abs=0.03)


def test_amounts_and_false_positives_are_covered(simulated: list[Simulated]) -> None:
    day, covered = DAYS - 10, {"saved": 0, "lost": 0, "false": 0}
    for each in simulated:
        found = each.quality(day, day + 1)
        amount, caught, reported = (
            each.of_days(values, day, day + 1) for values in (each.amount, each.is_alert, each.reported)
        )
        covered["saved"] += covers(found.amount_saved, amount[caught].sum())
        covered["lost"] += covers(found.amount_lost, amount[~caught & reported].sum())
        covered["false"] += covers(found.false_positive_rate, (24 * 5 - caught.sum()) / (24 * 833 - len(caught)))
    assert min(covered.values()) >= 0.93 * len(simulated)


def test_what_is_too_early_is_not_corrected(simulated: list[Simulated]) -> None:
    found = simulated[0].quality(DAYS - 1, DAYS)
    assert found.recall.value is None
    assert found.recall.reason == "too early: hardly any of its frauds is known yet"
    assert found.known_frauds > 0


@pytest.mark.parametrize(("reviewed", "missed"), [(999, 10 + 500), (333, 10 + 1_500)])
def test_what_the_review_found_stands_for_as_many_as_were_not_reviewed(reviewed: int, missed: int) -> None:
    """Of old frauds, all of which are known: of the reserve of 1 % all, or a third, was reviewed."""
    alerted, by_review = np.arange(65) < 50, np.arange(65) >= 60
    frauds = Frauds(np.zeros(65, np.int64), np.full(65, HOUR), np.ones(65), alerted, by_review)
    traffic = Traffic(np.array([0]), np.array([100_000]), np.array([100]), reviewed)
    found = quality(frauds, traffic, Curves.from_frauds(frauds, DAYS * DAY), REVIEW)
    assert found.recall_of_all.value == pytest.approx(50 / (50 + missed), rel=1e-6)


def test_without_labels_there_are_reasons_instead_of_figures() -> None:
    nothing = Frauds(*(np.empty(0, np.int64) for _ in range(3)), *(np.empty(0, np.bool_) for _ in range(2)))
    traffic = Traffic(np.array([HOUR]), np.array([10]), np.array([0]))
    found = quality(nothing, traffic, Curves.from_frauds(nothing, DAY))
    assert (found.recall.value, found.precision.value, found.ripeness) == (None, None, None)
    assert found.recall.reason
