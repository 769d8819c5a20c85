"""The evaluation protocol of the Fraud Detection Handbook: a week to fit, a week's delay of labels, a week that judges.

Source: Y.-A. Le Borgne, W. Siblini, B. Lebichot, G. Bontempi, "Reproducible Machine Learning for Credit Card Fraud Detection –
Practical Handbook", 2022, chapter 3 (training set, delay, test set) and chapter 4 (Card Precision@k).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final, Self

import msgspec
import numpy as np

from ml.arrays import Flags, Floats
from ml.dataset.split import Split
from ml.dataset.transactions import Transactions
from ml.detectors import Detector, TooFewRows
from ml.evaluation.contest import Terms, fitted, profile_pass
from ml.evaluation.data import Data, Extras, Outline, outline, read
from ml.evaluation.errors import EvaluationError
from ml.evaluation.estimates import Estimate, over_seeds
from ml.features import DAY
from ml.label_rule import UNKNOWN
from ml.metrics import CardPrecision, Figure, Ranking, card_precision
from ml.progress import Progress, silent

FIGURES: Final = ("auc", "average_precision", "card_precision_at_100")


class Protocol(msgspec.Struct, frozen=True):
    """When what happens; the defaults are the book's. All days are in UTC.

    | part | what it serves |
    | --- | --- |
    | all before | the customers' past |
    | `fit_days` that end with the day before `fit_end` | a detector is fitted to them |
    | `delay_days` from `fit_end` on | the labels of the last day that is fitted to arrive meanwhile |
    | `test_days` after that | judge |

    Left out of the test, from the day on which it is known, is what a customer pays who is known as compromised: by a fraud
    label of a transaction of the last `known_days` before `fit_end`, or later (None: as many as `fit_days`, as in the book).
    Raises ValueError where a number of days is impossible.
    """

    name: str = "handbook"
    fit_end: date = date(2018, 8, 1)
    fit_days: int = 7
    delay_days: int = 7
    test_days: int = 7
    known_days: int | None = None

    def __post_init__(self) -> None:
        for name, least in (("fit_days", 1), ("delay_days", 0), ("test_days", 1), ("known_days", 0)):
            days = getattr(self, name)
            if days is not None and days < least:
                raise ValueError(f"{name} has to be at least {least}, but is {days}")

    @property
    def split(self) -> Split:
        """The parts in ms since the epoch; the gap is the delay."""
        end = _milliseconds(self.fit_end)
        test = end + self.delay_days * DAY
        return Split(end - self.fit_days * DAY, end, test, test + self.test_days * DAY)

    @property
    def known_since(self) -> int:
        """From when on (ms) a customer's fraud counts for knowing them as compromised."""
        days = self.fit_days if self.known_days is None else self.known_days
        return _milliseconds(self.fit_end) - days * DAY


class Outcome(msgspec.Struct, frozen=True):
    """One detector's figures, each the mean over seeds with its interval; scenarios: the AUC of each one's frauds alone."""

    figures: dict[str, Estimate]
    scenarios: dict[str, Estimate]


class Outcomes(msgspec.Struct, frozen=True):
    """What a protocol found: each detector's outcome, or why it could not be fitted.

    transactions, frauds: that judge; left_out: transactions of the test's days by customers known as compromised.
    """

    protocol: Protocol
    seeds: tuple[int, ...]
    fit_transactions: int
    fit_frauds: int
    transactions: int
    frauds: int
    left_out: int
    card_precision_ceiling: float
    detectors: dict[str, Outcome | str]


class JudgingPart(msgspec.Struct, frozen=True):
    """The n transactions that judge, and the truth about them."""

    part: Transactions
    is_fraud: Flags
    scenarios: dict[str, Flags]

    @classmethod
    def from_data(cls, data: Data, protocol: Protocol) -> Self:
        """Without those of customers who were known as compromised when the day began."""
        part = data.test.select(~known(data.outline, protocol, data.test))
        truth = data.outline.knowledge.truth
        rows = truth.rows_of(part.transaction)
        is_fraud = truth.fraud_of(part.transaction)
        of_kind = {name: is_fraud & (truth.scenario[rows] == number) for number, name in enumerate(truth.scenarios)}
        return cls(part, is_fraud, {name: flags for name, flags in of_kind.items() if flags.any()})


def known(seen: Outline, protocol: Protocol, part: Transactions) -> Flags:
    """Which transactions (n,) are of a customer who was known as compromised when the day began, as the protocol counts."""
    labels = seen.knowledge.labels
    late = seen.labelled[seen.labelled_time >= protocol.known_since]
    counted = np.where(np.isin(labels.transaction, late), labels.verdict, np.uint8(UNKNOWN))
    return replace(labels, verdict=counted).known_compromised(part.customer, part.day)


def evaluate_by(
    protocol: Protocol,
    folder: Path,
    detectors: Sequence[Detector],
    terms: Terms,
    seeds: int = 1,
    progress: Progress = silent,
) -> Outcomes:
    """Judge detectors on the history in a folder, each fitted `seeds` times, from `terms.seed` on.

    Of the terms, those count that say what is a feature. Raises `EvaluationError`, or `ml.dataset.history.HistoryError`,
    where something is missing or too short.
    """
    seen = outline(folder, terms.extras, progress, terms.rates)
    split = protocol.split
    first, last = (datetime.fromtimestamp(int(time) / 1000, UTC) for time in (seen.times[0], seen.times[-1]))
    if not seen.times[0] <= split.fit_start or not split.end <= seen.times[-1] + DAY:
        raise EvaluationError(
            f"the protocol {protocol.name} needs transactions from {_day(split.fit_start)} to {_day(split.end - 1)}, but the "
            f"history has {first:%Y-%m-%d} to {last:%Y-%m-%d}; `python -m generator history --world handbook` writes one"
        )
    data = read(seen, split, terms.seed, progress, profile_pass(seen.knowledge, terms), Extras(terms.declared))
    return judged_by(protocol, data, detectors, range(terms.seed, terms.seed + seeds), progress)


def judged_by(
    protocol: Protocol, data: Data, detectors: Sequence[Detector], seeds: Sequence[int], progress: Progress = silent
) -> Outcomes:
    """Judge detectors on data that was read by the protocol's split."""
    test = JudgingPart.from_data(data, protocol)
    found: dict[str, Outcome | str] = {}
    for number, detector in enumerate(detectors):
        progress("fitting and judging", number, len(detectors), detector.name)
        try:
            found[detector.name] = outcome_of(data, test, detector, seeds)
        except TooFewRows as error:
            found[detector.name] = str(error)
    progress("fitting and judging", len(detectors), len(detectors))
    ceilings = _cards(test, test.is_fraud.astype(np.float64)).ceilings
    return Outcomes(
        protocol,
        tuple(seeds),
        len(data.fit),
        int(data.fit_labels.sum()),
        len(test.part),
        int(test.is_fraud.sum()),
        len(data.test) - len(test.part),
        float(ceilings.mean()),
        found,
    )


def outcome_of(data: Data, test: JudgingPart, detector: Detector, seeds: Sequence[int]) -> Outcome:
    """The outcome of one detector, fitted once a seed. Raises `TooFewRows`."""
    runs = []
    for seed in seeds:
        scorer = fitted(detector, data, seed)
        runs.append(_figures(test, np.asarray(scorer.anomaly_score(test.part.features), np.float64)))
    figures, scenarios = zip(*runs, strict=True)
    return Outcome(_means(figures), _means(scenarios))


def _figures(test: JudgingPart, scores: Floats) -> tuple[dict[str, Figure], dict[str, Figure]]:
    curve = Ranking.from_scores(test.is_fraud, scores).curve()
    cards = Figure(float(_cards(test, scores).values.mean()))
    honest = ~test.is_fraud
    scenarios = {}
    for name, flags in test.scenarios.items():
        rows = flags | honest
        scenarios[name] = Ranking.from_scores(flags[rows], scores[rows]).curve().roc_auc
    return dict(zip(FIGURES, (curve.roc_auc, curve.average_precision, cards), strict=True)), scenarios


def _cards(test: JudgingPart, scores: Floats) -> CardPrecision:
    nobody = np.zeros(len(scores), np.bool_)  # those who are known have been left out
    return card_precision(test.part.day, test.part.customer, test.is_fraud, scores, nobody)


def _means(runs: Sequence[Mapping[str, Figure]]) -> dict[str, Estimate]:
    return {name: over_seeds([run[name].value for run in runs]) for name in runs[0]}


def _milliseconds(day: date) -> int:
    return (day - date(1970, 1, 1)).days * DAY


def _day(time: int) -> str:
    return f"{datetime.fromtimestamp(time / 1000, UTC):%Y-%m-%d}"
