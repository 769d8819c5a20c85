"""What a model would have flagged in days that are past: alerts a day, how many of them fraud, and what was flagged then."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

import msgspec
import numpy as np

from ml.arrays import Flags, Floats
from ml.evaluation.estimates import Estimate, over_days
from ml.evaluation.report import cell
from ml.evaluation.stretch import Stretch
from ml.features import DAY
from ml.metrics import Counts, Figure


class Day(msgspec.Struct, frozen=True):
    """One day, UTC. caught: of its alerts, those that are fraud; was: alerts then; both: alerts now and then."""

    day: str
    transactions: int
    frauds: int
    alerts: int
    caught: int
    was: int
    both: int


class Backtest(msgspec.Struct, frozen=True):
    """The days together. precision and recall: with intervals over the days; those of what was flagged then: `was_…`.

    new_frauds: frauds that are flagged now and were not then; lost_frauds: the other way round.
    """

    version: int
    threshold: float
    compared_with: str
    alerts_a_day: float
    precision: Estimate
    recall: Estimate
    was_precision: Estimate
    was_recall: Estimate
    new_frauds: int
    lost_frauds: int
    days: list[Day]


def backtest(stretch: Stretch, version: int, threshold: float, alerts: Flags, was: tuple[str, Flags]) -> Backtest:
    """Compare alerts (n,) of a stretch with those that there were, by whatever gave them."""
    name, before = was
    now_figures, then_figures = (_figures(stretch, flags) for flags in (alerts, before))
    of_day = zip(
        (f"{datetime.fromtimestamp(day * DAY / 1000, UTC):%Y-%m-%d}" for day in stretch.days.tolist()),
        *(
            stretch.by_day(flags).astype(int).tolist()
            for flags in (
                np.ones(len(alerts), np.bool_),
                stretch.is_fraud,
                alerts,
                alerts & stretch.is_fraud,
                before,
                before & alerts,
            )
        ),
        strict=True,
    )
    return Backtest(
        version,
        threshold,
        name,
        float(alerts.sum()) / len(stretch.days),
        now_figures["precision"],
        now_figures["recall"],
        then_figures["precision"],
        then_figures["recall"],
        int((stretch.is_fraud & alerts & ~before).sum()),
        int((stretch.is_fraud & before & ~alerts).sum()),
        [Day(*row) for row in of_day],
    )


def _figures(stretch: Stretch, alerts: Flags) -> dict[str, Estimate]:
    kinds = np.select([stretch.is_fraud & alerts, alerts, stretch.is_fraud], [0, 1, 2], 3)
    days = len(stretch.days)
    by_day = np.bincount(4 * stretch.day + kinds, minlength=4 * days).reshape(-1, 4).astype(np.float64)

    def figures(weight: Floats) -> Mapping[str, Figure]:
        counts = Counts(*(weight @ by_day))
        return {"precision": counts.precision, "recall": counts.recall}

    return over_days(days, figures, seed=0)


HEADER: Final = ["day", "transactions", "frauds", "alerts", "caught", "alerts then", "both"]


def rows(of: Backtest) -> list[list[str]]:
    """A row a day."""
    return [
        [day.day, *(f"{n:,}" for n in (day.transactions, day.frauds, day.alerts, day.caught, day.was, day.both))]
        for day in of.days
    ]


def summary(of: Backtest) -> str:
    """All days in words."""
    return (
        f"version {of.version} above {of.threshold:.4f}: {of.alerts_a_day:,.1f} alerts a day, precision "
        f"{cell('precision', of.precision)}, recall {cell('recall', of.recall)}; {of.compared_with}: precision "
        f"{cell('precision', of.was_precision)}, recall {cell('recall', of.was_recall)}. {of.new_frauds:,} frauds more, "
        f"{of.lost_frauds:,} no longer"
    )
