"""How well anomaly scores and alerts agree with the truth, in the measures of the literature: pure functions on arrays."""

from dataclasses import dataclass
from typing import Final, NamedTuple, Self

import msgspec
import numpy as np

from ml.arrays import Flags, Floats, Hashes, Ints

CHECKED_A_DAY: Final = 100
"""Customers that investigators can check in a day: the k of Card Precision@k in Dal Pozzolo's work."""


class Figure(msgspec.Struct, frozen=True):
    """A metric's value, or None and the reason why there is none; never NaN."""

    value: float | None
    reason: str | None = None


@dataclass(frozen=True)
class Counts:
    """Transactions by what they were and how they were judged; a weight may count one several times.

    >>> counts = Counts(caught=3, false_alarms=1, missed=7, passed=999)
    >>> counts.precision.value, counts.recall.value, counts.false_positive_rate.value
    (0.75, 0.3, 0.001)
    """

    caught: float
    false_alarms: float
    missed: float
    passed: float

    @classmethod
    def from_flags(cls, is_fraud: Flags, is_alert: Flags) -> Self:
        """Counted from the truth (n,) and the alerts (n,)."""
        caught, alerts, frauds = int((is_fraud & is_alert).sum()), int(is_alert.sum()), int(is_fraud.sum())
        return cls(caught, alerts - caught, frauds - caught, len(is_fraud) - alerts - frauds + caught)

    @property
    def precision(self) -> Figure:
        """The share of the alerts that are fraud."""
        return _share(self.caught, self.caught + self.false_alarms, "no transaction was alerted")

    @property
    def recall(self) -> Figure:
        """The share of the frauds that were alerted."""
        return _share(self.caught, self.caught + self.missed, _NO_FRAUD)

    @property
    def false_positive_rate(self) -> Figure:
        """The share of the honest transactions that were alerted."""
        return _share(self.false_alarms, self.false_alarms + self.passed, _ALL_FRAUD)

    @property
    def f1(self) -> Figure:
        """The harmonic mean of precision and recall."""
        both = 2 * self.caught
        return _share(both, both + self.false_alarms + self.missed, "there is neither fraud nor an alert")

    @property
    def alert_share(self) -> Figure:
        """The share of all transactions that were alerted."""
        alerts = self.caught + self.false_alarms
        return _share(alerts, alerts + self.missed + self.passed, "there are no transactions")


_NO_FRAUD: Final = "no transaction is fraud"
_ALL_FRAUD: Final = "every transaction is fraud"


def _share(part: float, whole: float, reason: str) -> Figure:
    return Figure(float(part / whole)) if whole else Figure(None, reason)


def ceilings(budget: float, prevalence: float) -> dict[str, float]:
    """What a perfect detector reaches that alerts a share `budget` of transactions, of which `prevalence` are fraud.

    >>> {name: round(value, 3) for name, value in ceilings(0.005, 0.006).items()}
    {'precision': 1.0, 'recall': 0.833, 'f1': 0.909, 'false_positive_rate': 0.0}
    """
    caught = min(budget, prevalence)
    return {
        "precision": min(1.0, prevalence / budget),
        "recall": min(1.0, budget / prevalence) if prevalence else 1.0,
        "f1": 2 * caught / (budget + prevalence),
        "false_positive_rate": (budget - caught) / (1 - prevalence) if prevalence < 1 else 0.0,
    }


class Curve(NamedTuple):
    """How many frauds (g,) and honest transactions (g,) have at least each of the g different scores, highest first."""

    frauds: Floats
    honest: Floats

    @property
    def roc_auc(self) -> Figure:
        """The chance that a fraud's score is above an honest transaction's; a tie counts half."""
        frauds, honest = self._totals()
        if not frauds or not honest:
            return Figure(None, _ALL_FRAUD if frauds else _NO_FRAUD)
        before = np.concatenate([[0.0], self.frauds[:-1]])
        area = np.dot(np.diff(self.honest, prepend=0.0), before + self.frauds) / 2
        return Figure(float(area / (frauds * honest)))

    @property
    def average_precision(self) -> Figure:
        """The mean, over the frauds, of the precision at each one's score; chance reaches the prevalence.

        Not interpolated, as in scikit-learn: the sum over the steps of precision times gained recall.
        """
        frauds, _ = self._totals()
        if not frauds:
            return Figure(None, _NO_FRAUD)
        alerts = self.frauds + self.honest
        precision = np.divide(self.frauds, alerts, out=np.zeros(len(alerts)), where=alerts > 0)
        return Figure(float(np.dot(np.diff(self.frauds, prepend=0.0), precision) / frauds))

    def most_recall(self, precision: float = 0.0, false_positive_rate: float = 1.0) -> Figure:
        """The most recall that any threshold gives with at least this precision and at most this false-positive rate.

        It is chosen in hindsight, by the truth: no threshold that was set before can be better. 0 where there is none.
        """
        frauds, honest = self._totals()
        if not frauds:
            return Figure(None, _NO_FRAUD)
        precise = self.frauds >= precision * (self.frauds + self.honest)
        kept = precise & (self.honest <= false_positive_rate * honest)
        return Figure(float(self.frauds[kept].max(initial=0.0) / frauds))

    def _totals(self) -> tuple[float, float]:
        return (float(self.frauds[-1]), float(self.honest[-1])) if len(self.frauds) else (0.0, 0.0)


@dataclass(frozen=True, eq=False)
class Ranking:
    """Transactions from the highest anomaly score down, equal scores in one step.

    order: (n,) row of each; is_fraud: (n,) in that order; ends: (g,) last of each of the g steps; scores: (g,).
    """

    order: Ints
    is_fraud: Flags
    ends: Ints
    scores: Floats

    @classmethod
    def from_scores(cls, is_fraud: Flags, scores: Floats) -> Self:
        """is_fraud (n,), anomaly scores (n,). Raises ValueError where a score is not finite."""
        if len(scores) and not np.isfinite(scores).all():
            raise ValueError(
                f"scores have to be finite, but {(~np.isfinite(scores)).sum():,} of {len(scores):,} are not"
            )
        order = np.argsort(-scores, kind="stable")
        falling = scores[order]
        ends = np.flatnonzero(np.append(falling[1:] != falling[:-1], np.ones(min(1, len(falling)), bool)))
        return cls(order, is_fraud[order], ends, falling[ends])

    def curve(self, weight: Floats | None = None) -> Curve:
        """weight: (n,) how often each transaction counts, in the order in which they came; None for once."""
        counted = np.ones(len(self.order)) if weight is None else weight[self.order]
        frauds = np.cumsum(counted * self.is_fraud)[self.ends]
        return Curve(frauds, np.cumsum(counted)[self.ends] - frauds)


class CardPrecision(NamedTuple):
    """Of each of D days: the share of the checked customers who were compromised (D,), and the most it could be (D,)."""

    days: Ints
    values: Floats
    ceilings: Floats


def card_precision(
    day: Ints, customer: Hashes, truth: Flags, scores: Floats, known: Flags, k: int = CHECKED_A_DAY
) -> CardPrecision:
    """Card Precision@k of each day: customers ranked by their highest score that day, of whom k are checked.

    day, customer, truth, scores: (n,) of each transaction; known: (n,) whether its customer was known as compromised when
    the day began. Those are left out, and so are customers that a check has found on an earlier day. A customer is compromised
    on a day with a fraud. Equal scores are ranked by the customer's number, which should be a hash: chance, and the same
    wherever it is computed. Days with fewer than k customers still divide by k.

    A. Dal Pozzolo et al., "Credit Card Fraud Detection: A Realistic Modeling and a Novel Learning Strategy", IEEE TNNLS
    2018; Le Borgne et al., "Reproducible Machine Learning for Credit Card Fraud Detection", 2022, chapter 4.
    """
    days = np.unique(day)
    values, most = np.zeros(len(days)), np.zeros(len(days))
    found = np.empty(0, np.uint64)
    for number, today in enumerate(days):
        rows = np.flatnonzero((day == today) & ~known)
        customers, index = np.unique(customer[rows], return_inverse=True)
        highest = np.full(len(customers), -np.inf)
        np.maximum.at(highest, index, scores[rows])
        compromised = np.bincount(index, truth[rows], len(customers)) > 0
        most[number] = min(k, compromised.sum()) / k
        candidates = np.flatnonzero(~np.isin(customers, found))
        checked = candidates[np.lexsort((customers[candidates], -highest[candidates]))[:k]]
        hits = checked[compromised[checked]]
        values[number] = len(hits) / k
        found = np.concatenate([found, customers[hits]])
    return CardPrecision(days, values, most)
