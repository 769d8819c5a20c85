"""The judgement of one detector on the test part of a history: every figure, each scenario, the money."""

from collections.abc import Collection, Mapping
from typing import Final

import msgspec
import numpy as np

from ml.arrays import Flags, Floats, Ints
from ml.dataset.transactions import Transactions
from ml.evaluation.attacks import Attacks, Frauds, attacks_of, frauds_of
from ml.evaluation.data import Data
from ml.evaluation.estimates import REPLICATES, Estimate, over_days
from ml.metrics import CardPrecision, Counts, Figure, Ranking, card_precision, ceilings

FIGURES: Final = (
    "auc",
    "average_precision",
    "card_precision_at_100",
    "precision",
    "recall",
    "false_positive_rate",
    "f1",
    "alert_share",
    "recall_at_precision_95",
    "recall_at_precision_78",
    "recall_at_2_percent_false",
    "decline_precision",
    "decline_recall",
)
"""Those with `_at_` are of the threshold that hindsight would choose: how much fraud it finds if 95 or 78 % of its alerts have
to be right, or if 2 % of the honest transactions may be alerted. The last two are of the decline threshold."""

_NO_THRESHOLD: Final = Figure(None, "there is no decline threshold")

ACROSS_CUSTOMERS: Final = frozenset({"terminal_takeover", "web_skimmer", "rogue_shop", "category_shift"})
"""The simulated kinds of fraud that no single customer's past shows."""


class ScenarioResult(msgspec.Struct, frozen=True):
    """The result for one scenario in the test part.

    attacks: those that begin there, a campaign on several customers being as many; caught: of them, with an alert. The
    medians are over the caught ones, None where there is none. Amounts are in the history's commonest currency: lost before
    the first alert, of all.
    """

    frauds: int
    recall: Estimate
    attacks: int
    caught: int
    median_transactions_to_detection: float | None
    median_seconds_to_detection: float | None
    median_amount_lost: float | None
    amount_lost: float
    amount: float


class Judgement(msgspec.Struct, frozen=True):
    """All figures of one detector. `ceilings`: what a perfect one reaches at the budget.

    of_one_customer: the figures where frauds of ACROSS_CUSTOMERS are left out of the part; empty where it has none of them.
    """

    transactions: int
    frauds: int
    days: int
    prevalence: float
    budget: float
    currency: str | None
    figures: dict[str, Estimate]
    ceilings: dict[str, float]
    scenarios: dict[str, ScenarioResult]
    amount_lost: float
    amount: float
    of_one_customer: dict[str, Estimate] = {}


class JudgedPart(msgspec.Struct, frozen=True):
    """A test part, with what every detector's judgement on it needs."""

    data: Data
    test: Transactions
    is_fraud: Flags
    known: Flags
    frauds: Frauds
    day: Ints
    days: int

    @classmethod
    def from_data(cls, data: Data, test: Transactions | None = None) -> "JudgedPart":
        """For the test part of some data, or for some transactions of it."""
        test = data.test if test is None else test
        is_fraud = data.outline.knowledge.truth.fraud_of(test.transaction)
        known = data.outline.knowledge.labels.known_compromised(test.customer, test.day)
        days, day = np.unique(test.day, return_inverse=True)
        return cls(data, test, is_fraud, known, frauds_of(data, test, is_fraud), day, len(days))

    def without(self, scenarios: Collection[str]) -> tuple["JudgedPart", Flags]:
        """The part without the frauds of some scenarios, and which of its transactions (n,) that leaves; of `frauds`, all."""
        names = self.data.outline.knowledge.truth.scenarios
        numbers = [number for number, name in enumerate(names) if name in scenarios]
        left = np.ones(len(self.test), np.bool_)
        left[self.frauds.row[np.isin(self.frauds.scenario, numbers)]] = False
        of_left = {name: getattr(self, name)[left] for name in ("is_fraud", "known", "day")}
        return msgspec.structs.replace(self, test=self.test.select(left), **of_left), left


def judge(
    judged_part: JudgedPart,
    scores: Floats,
    is_alert: Flags,
    budget: float,
    replicates: int = REPLICATES,
    seed: int = 0,
    decline_threshold: float | None = None,
) -> Judgement:
    """Judge anomaly scores (n,) and alerts (n,) of the part's transactions; intervals are over the days.

    decline_threshold: what scores more is declined; None: nothing is known of that.
    """
    test, truth = judged_part.test, judged_part.data.outline.knowledge.truth
    prevalence = float(judged_part.is_fraud.mean())
    cards = card_precision(test.day, test.customer, judged_part.is_fraud, scores, judged_part.known)
    attacks = attacks_of(judged_part.frauds, test, is_alert)
    own_amount = ~np.isnan(attacks.amount)
    return Judgement(
        len(test),
        int(judged_part.is_fraud.sum()),
        judged_part.days,
        prevalence,
        budget,
        judged_part.data.outline.currency,
        _figures(judged_part, scores, (is_alert, decline_threshold), cards, (seed, replicates)),
        {
            "auc": 1.0,
            "average_precision": 1.0,
            "card_precision_at_100": float(cards.ceilings.mean()),
            **ceilings(budget, prevalence),
        },
        {
            name: _scenario(judged_part, attacks, number, is_alert, (seed, replicates))
            for number, name in enumerate(truth.scenarios)
            if (judged_part.frauds.scenario == number).any()
        },
        float(attacks.lost[own_amount].sum()),
        float(attacks.amount[own_amount].sum()),
        _of_one_customer(judged_part, scores, is_alert, (seed, replicates)),
    )


def _of_one_customer(
    judged_part: JudgedPart, scores: Floats, is_alert: Flags, draws: tuple[int, int]
) -> dict[str, Estimate]:
    part, left = judged_part.without(ACROSS_CUSTOMERS)
    if left.all() or not part.is_fraud.any():
        return {}
    cards = card_precision(part.test.day, part.test.customer, part.is_fraud, scores[left], part.known)
    return _figures(part, scores[left], (is_alert[left], None), cards, draws)


def _figures(
    judged_part: JudgedPart,
    scores: Floats,
    above: tuple[Flags, float | None],
    cards: CardPrecision,
    draws: tuple[int, int],
) -> dict[str, Estimate]:
    ranking = Ranking.from_scores(judged_part.is_fraud, scores)
    is_alert, decline_threshold = above
    by_day = _by_day(judged_part, is_alert)
    declined_by_day = None if decline_threshold is None else _by_day(judged_part, scores > decline_threshold)

    def figures(weight: Floats) -> Mapping[str, Figure]:
        curve = ranking.curve(weight[judged_part.day])
        counts = Counts(*(weight @ by_day))
        declined = None if declined_by_day is None else Counts(*(weight @ declined_by_day))
        values = (
            curve.roc_auc,
            curve.average_precision,
            Figure(float(np.average(cards.values, weights=weight))),
            counts.precision,
            counts.recall,
            counts.false_positive_rate,
            counts.f1,
            counts.alert_share,
            curve.most_recall(precision=0.95),
            curve.most_recall(precision=0.78),
            curve.most_recall(false_positive_rate=0.02),
            _NO_THRESHOLD if declined is None else declined.precision,
            _NO_THRESHOLD if declined is None else declined.recall,
        )
        return dict(zip(FIGURES, values, strict=True))

    seed, replicates = draws
    return over_days(judged_part.days, figures, seed, replicates)


def _by_day(judged_part: JudgedPart, is_alert: Flags) -> Floats:
    """(days, 4): the fields of Counts, of each day."""
    kinds = np.select([judged_part.is_fraud & is_alert, is_alert, judged_part.is_fraud], [0, 1, 2], 3)
    return np.bincount(4 * judged_part.day + kinds, minlength=4 * judged_part.days).reshape(-1, 4).astype(np.float64)


def _scenario(
    judged_part: JudgedPart, attacks: Attacks, number: int, is_alert: Flags, draws: tuple[int, int]
) -> ScenarioResult:
    rows = judged_part.frauds.row[judged_part.frauds.scenario == number]
    all_of_day = np.bincount(judged_part.day[rows], minlength=judged_part.days)
    caught_of_day = np.bincount(judged_part.day[rows], is_alert[rows], judged_part.days)

    def recall(weight: Floats) -> Mapping[str, Figure]:
        caught, frauds = float(weight @ caught_of_day), float(weight @ all_of_day)
        return {"recall": Counts(caught, 0, frauds - caught, 0).recall}

    own = attacks.scenario == number
    whole = own & attacks.whole
    caught = whole & ~np.isnan(attacks.transactions)
    lost, amount = attacks.lost[own], attacks.amount[own]
    return ScenarioResult(
        len(rows),
        over_days(judged_part.days, recall, *draws)["recall"],
        int(whole.sum()),
        int(caught.sum()),
        _median(attacks.transactions[caught]),
        _median(attacks.seconds[caught]),
        _median(attacks.lost[caught & ~np.isnan(attacks.lost)]),
        float(lost[~np.isnan(lost)].sum()),
        float(amount[~np.isnan(amount)].sum()),
    )


def _median(values: Floats) -> float | None:
    return float(np.median(values)) if len(values) else None
