"""Fits detectors to one part of a history, sets each one's threshold on the next, and judges it on the last."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from ml.arrays import Flags, Floats
from ml.dataset.profiling import ProfilePass
from ml.dataset.split import Split
from ml.dataset.transactions import Transactions
from ml.dataset.truth import Knowledge
from ml.detectors import Detector, TooFewRows
from ml.detectors.calibration import LearnsFromLabels
from ml.detectors.columns import choose
from ml.detectors.combined import Combined
from ml.detectors.isolation_forest import IsolationForest
from ml.detectors.recent import Rows, fit_with_recent
from ml.evaluation.data import Data, Extras, outline, read
from ml.evaluation.errors import EvaluationError
from ml.evaluation.judgement import JudgedPart, Judgement, judge
from ml.evaluation.scored import Scored, matched
from ml.features.currencies import AS_PAID, Rates
from ml.features.declared import NOTHING, Declared
from ml.features.profile_schema import BLOCK_SECONDS
from ml.model import Model
from ml.progress import Progress, silent
from ml.thresholds.budget import DEFAULT_BUDGET, threshold_for_budget
from ml.thresholds.decline import Declines, declines


class Fitted(Protocol):
    """What scores, once it has been fitted; see `ml.detectors.Scorer`."""

    def anomaly_score(self, features: Floats) -> Floats:
        """(n, F) → (n,), higher is stranger."""
        ...


class Learner(Protocol):
    """What can be judged: a detector, or something simpler that it has to beat; see `ml.detectors.Detector`."""

    @property
    def name(self) -> str:
        """What the tables call it."""
        ...

    def fit(self, features: Floats, is_fraud: Flags, seed: int) -> Fitted:
        """Fit to features (n, F) and what labels said of them (n,)."""
        ...


def fitted(detector: Learner, data: Data, seed: int) -> Fitted:
    """Fit a detector to the fit part of some data; where it has a forest, to the columns that are best for it.

    Raises `TooFewRows`.
    """
    return _with_columns(detector, data, seed).fit(data.fit.features, data.fit_labels, seed)


def _with_columns(detector: Learner, data: Data, seed: int) -> Learner:
    if isinstance(detector, IsolationForest | Combined):
        return choose(detector, data.feature_names, data.fit.features, data.fit_labels, seed).detector
    return detector


@dataclass(frozen=True)
class Contestant:
    """A detector that has been fitted, with the threshold that the gap part gave for the budget.

    decline_threshold: what the labels of the gap part gave that had arrived when the test began; None without one.
    """

    name: str
    scorer: Fitted
    threshold: float
    decline_threshold: float | None = None

    @classmethod
    def fitted(
        cls, detector: Learner, data: Data, budget: float, seed: int, learns_from_gap: bool = True
    ) -> "Contestant":
        """Fit a detector to some data. Raises `ml.detectors.TooFewRows` where there is not enough to fit it to.

        learns_from_gap: whether a detector that learns from labels may learn from the gap part too, as training does; the
        threshold then comes from what scored it without having seen it.
        """
        detector = _with_columns(detector, data, seed)
        older, gap = Rows(data.fit.features, data.fit_labels), Rows(data.gap.features, data.gap_labels)
        scorer: Fitted
        if learns_from_gap and isinstance(detector, LearnsFromLabels | Combined):
            scorer, scores, _ = fit_with_recent(detector, older, gap, seed)
        else:
            scorer = detector.fit(*older, seed)
            scores = np.asarray(scorer.anomaly_score(gap.features), np.float64)
        threshold = threshold_for_budget(scores, budget)
        declined = (
            declines(scores, data.gap_labels, threshold) if getattr(detector, "needs_labels", False) else Declines()
        )
        return cls(detector.name, scorer, threshold, declined.threshold)

    def alerts(self, scores: Floats) -> Flags:
        """Which scores are above the threshold."""
        return scores > self.threshold

    def scores(self, part: Transactions) -> Floats:
        """The anomaly scores (n,) of some transactions."""
        return np.asarray(self.scorer.anomaly_score(part.features), np.float64)


class Terms(NamedTuple):
    """How to judge: the alert budget, the gap (None: as long as the history's labels take), the seed of every choice, and
    whether the history's extras are features.

    profiles: whether profile features are; they know each label from its arrival on, in the test part too, as a job would.
    profile_delay_hours: how much later than at once each table of profiles comes. rates: by which amounts are compared.
    declared: what is declared of the extras.
    """

    budget: float
    label_delay_days: float | None
    seed: int
    extras: bool = True
    profiles: bool = True
    profile_delay_hours: int = 0
    rates: Rates = AS_PAID
    declared: Declared = NOTHING


class StreamScores(NamedTuple):
    """What the streaming job wrote on a topic, from `ml.evaluation.scored.scored_from`."""

    topic: str
    scores: Mapping[int, Scored]


Judged = Sequence[Detector] | Model | StreamScores
"""Detectors to fit; a trained model with its own threshold; or what the streaming job wrote."""


def evaluate(folder: Path, judged: Judged, terms: Terms, progress: Progress = silent) -> dict[str, Judgement | str]:
    """Judgements on the last quarter of the history in a folder, by name; where a detector could not be fitted, why.

    Raises `EvaluationError`, or `ml.dataset.history.HistoryError`, where something is missing or too short.
    """
    if not 0 < terms.budget < 1:
        raise EvaluationError(
            f"the alert budget is a share of the traffic, such as {DEFAULT_BUDGET:g}, not {terms.budget:g}"
        )
    seen = outline(folder, terms.extras, progress, terms.rates)
    delay = seen.label_delay_days if terms.label_delay_days is None else terms.label_delay_days
    split = Split.from_span(int(seen.times[0]), int(seen.times[-1]), delay)
    extras = Extras(terms.declared, judged.extras if isinstance(judged, Model) else None)
    data = read(seen, split, terms.seed, progress, profile_pass(seen.knowledge, terms), extras)
    if isinstance(judged, StreamScores):
        test, scores, is_alert = matched(data.test, judged.scores)
        return {judged.topic: judge(JudgedPart.from_data(data, test), scores, is_alert, terms.budget, seed=terms.seed)}
    if isinstance(judged, Model):
        columns = [data.feature_names.index(name) for name in judged.features]
        scores = judged.anomaly_score(data.test.features[:, columns])
        name, part = f"{judged.name} version {judged.version}", JudgedPart.from_data(data)
        return {
            name: judge(
                part,
                scores,
                judged.is_anomaly(scores),
                terms.budget,
                seed=terms.seed,
                decline_threshold=judged.decline_threshold,
            )
        }
    return contest(data, judged, terms, progress)


def profile_pass(knowledge: Knowledge, terms: Terms) -> ProfilePass | None:
    """What gives a history's profile features, as the terms want them; None where they want none."""
    if not terms.profiles:
        return None
    return ProfilePass(knowledge.labels, delay_blocks=terms.profile_delay_hours * 3_600 // BLOCK_SECONDS)


def contest(
    data: Data, detectors: Sequence[Detector], terms: Terms, progress: Progress = silent
) -> dict[str, Judgement | str]:
    """Each detector's judgement by name; where it could not be fitted, why."""
    judged_part = JudgedPart.from_data(data)
    results: dict[str, Judgement | str] = {}
    for number, detector in enumerate(detectors):
        progress("fitting and judging", number, len(detectors), detector.name)
        try:
            contestant = Contestant.fitted(detector, data, terms.budget, terms.seed)
        except TooFewRows as error:
            results[detector.name] = str(error)
        else:
            scores = contestant.scores(data.test)
            results[detector.name] = judge(
                judged_part,
                scores,
                contestant.alerts(scores),
                terms.budget,
                seed=terms.seed,
                decline_threshold=contestant.decline_threshold,
            )
    progress("fitting and judging", len(detectors), len(detectors))
    return results
