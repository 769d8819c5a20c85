"""Precision, recall and what else labels say of judgements, known so far and corrected for what is not known yet."""

from dataclasses import dataclass, fields
from typing import Final, NamedTuple, Self

import msgspec
import numpy as np

from ml.arrays import Flags, Floats, Ints
from ml.evaluation.estimates import Estimate
from ml.quality.delays import DelayCurve
from ml.quality.intervals import NORMAL, Interval, part_of_both

LEAST_RIPENESS: Final = 0.05
"""Where less of the frauds is known than this, nothing is corrected."""

_LEAST_OF_OWN: Final = 10


@dataclass(frozen=True, eq=False)
class Frauds:
    """The n transactions that are known as fraud: event times and since when it is known, ms; amounts in the base currency;
    whether each was alerted; and by_review: known by the review at random of what was not alerted, and by nothing else."""

    time: Ints
    known_since: Ints
    amount: Floats
    is_alert: Flags
    by_review: Flags

    def of(self, rows: Flags) -> Self:
        """Some of them."""
        return type(self)(*(getattr(self, field.name)[rows] for field in fields(self)))


@dataclass(frozen=True, eq=False)
class Traffic:
    """What was judged: times (k,) ms, as of the middles of hours, and at each how many transactions (k,) and alerts (k,).

    reviewed: how many of those that were not alerted were reviewed because they are in the reserve.
    """

    time: Ints
    transactions: Ints
    alerts: Ints
    reviewed: int = 0


class Curves(NamedTuple):
    """How long it takes until a fraud is known that was alerted, and one that was not; now: ms since the epoch.

    alerted_share: of all frauds that will be known, the share that was alerted, which weighs the two.
    """

    alerted: DelayCurve
    missed: DelayCurve
    now: int
    alerted_share: float

    @classmethod
    def from_frauds(cls, frauds: Frauds, now: int) -> Self:
        """From all that are known. Where one kind has fewer than 10, its delays are taken to be those of both."""
        plain = frauds.of(~frauds.by_review)
        delays = np.maximum(plain.known_since - plain.time, 0)
        ages = np.maximum(now - plain.time, delays)
        whole = DelayCurve.from_delays(delays, ages)
        own = [
            DelayCurve.from_delays(delays[rows], ages[rows]) if rows.sum() >= _LEAST_OF_OWN else whole
            for rows in (plain.is_alert, ~plain.is_alert)
        ]
        weights = [curve.weights(ages) for curve in own]
        comparable = (weights[0] > 0) & (
            weights[1] > 0
        )  # else young frauds that were alerted would count, and missed ones not
        alerted, missed = (
            float(of_kind[comparable & rows].sum())
            for of_kind, rows in zip(weights, (plain.is_alert, ~plain.is_alert), strict=True)
        )
        together = alerted + missed
        return cls(own[0], own[1], now, alerted / together if together else float("nan"))


class Quality(msgspec.Struct, frozen=True):
    """How good judgements were. `known_` is what labels say by now; what has no such name is corrected for late labels.

    ripeness: the share that is known by now of those frauds that will be. recall: of these. recall_of_all: of all frauds,
    also those that nobody reports, by the review at random; it takes alerts to be looked at. Amounts are in the base currency.
    """

    transactions: int
    alerts: int
    ripeness: float | None
    known_frauds: int
    known_caught: int
    known_precision: float | None
    known_recall: float | None
    precision: Estimate
    recall: Estimate
    recall_of_all: Estimate
    false_positive_rate: Estimate
    known_amount_saved: float
    known_amount_lost: float
    amount_saved: Estimate
    amount_lost: Estimate
    reviewed: int
    found_by_review: int


def quality(frauds: Frauds, traffic: Traffic, curves: Curves, review_share: float = 0.0) -> Quality:
    """The quality of some traffic, by the frauds that are known of it; review_share: of non-alerts that is in the reserve."""
    plain = frauds.of(~frauds.by_review)
    ages = curves.now - traffic.time
    ripe = [
        curve.ripeness(ages, weights.astype(np.float64))
        for curve, weights in (
            (curves.alerted, traffic.alerts),
            (curves.missed, traffic.transactions - traffic.alerts),
        )
    ]
    caught, missed = int(plain.is_alert.sum()), int((~plain.is_alert).sum())
    transactions, alerts = int(traffic.transactions.sum()), int(traffic.alerts.sum())
    early = not all(share >= LEAST_RIPENESS for share, _ in ripe)
    caught_estimate, missed_estimate = (
        Interval.of_count(count).over(*of) for count, of in ((caught, ripe[0]), (missed, ripe[1]))
    )
    precision = Interval.of_share(caught, alerts * ripe[0][0]).widened(ripe[0][1]) if alerts else _NOTHING
    found = int(frauds.by_review.sum())
    expected = review_share * (transactions - alerts)
    share_reviewed = min(traffic.reviewed / expected, 1.0) * review_share if expected else 0.0
    all_missed = Interval.of_count(missed).plus(Interval.of_count(found).over(share_reviewed))
    amount = np.where(plain.is_alert, plain.amount, 0.0), np.where(plain.is_alert, 0.0, plain.amount)
    saved, lost = (_amount(of, share) for of, share in zip(amount, ripe, strict=True))
    return Quality(
        transactions=transactions,
        alerts=alerts,
        ripeness=_ripeness(ripe, curves.alerted_share),
        known_frauds=len(frauds.time),
        known_caught=caught,
        known_precision=caught / alerts if alerts else None,
        known_recall=caught / (caught + missed) if caught + missed else None,
        precision=_estimate(precision, early, "no alert"),
        recall=_estimate(part_of_both(caught_estimate, missed_estimate), early, "no fraud is known"),
        recall_of_all=_estimate(
            part_of_both(caught_estimate, all_missed), early, "nothing was reviewed", bool(share_reviewed)
        ),
        false_positive_rate=_estimate(_false_positives(caught_estimate, alerts, transactions), early, "no transaction"),
        known_amount_saved=float(amount[0].sum()),
        known_amount_lost=float(amount[1].sum()),
        amount_saved=_estimate(saved, early, ""),
        amount_lost=_estimate(lost, early, ""),
        reviewed=traffic.reviewed,
        found_by_review=found,
    )


_NOTHING: Final = Interval(float("nan"), 0.0, 1.0)


def _ripeness(ripe: list[tuple[float, float]], alerted_share: float) -> float | None:
    """Of both kinds together."""
    whole = alerted_share * ripe[0][0] + (1 - alerted_share) * ripe[1][0]
    return None if np.isnan(whole) else whole


def _false_positives(caught: Interval, alerts: int, transactions: int) -> Interval:
    """Of the honest transactions those that were alerted; frauds that were missed are too few among them to matter."""
    if not transactions:
        return _NOTHING
    least, most = (min(bound, alerts) for bound in (caught.low, caught.high))
    value = min(caught.value, alerts)
    parts = [(alerts - of) / max(transactions - of, 1.0) for of in (value, most, least)]
    return Interval(*parts)


def _amount(amounts: Floats, ripeness: tuple[float, float]) -> Interval:
    """A sum of amounts, of which more are to come; its variance as of a compound Poisson sum, Σ a²."""
    total = float(amounts.sum())
    if not total:
        return Interval(0.0, 0.0, float("inf") if not ripeness[0] > 0 else 0.0)
    reach = float(np.exp(NORMAL * np.sqrt((amounts**2).sum()) / total))
    return Interval(total, total / reach, total * reach).over(*ripeness)


def _estimate(found: Interval, early: bool, why: str, is_there: bool = True) -> Estimate:
    if early:
        return Estimate(None, reason="too early: hardly any of its frauds is known yet")
    if not is_there or not np.isfinite(found.value):
        return Estimate(None, reason=why)
    return Estimate(found.value, found.low, found.high if np.isfinite(found.high) else None)
