"""Training: from a history of transactions to a model that meets an alert budget, by any of the detectors.

The history is folded once, in time order, and cut in time:

| part of the rows | what it serves |
| --- | --- |
| the first 30 % | nothing but the customers' past: in them every merchant is new, unlike in later traffic |
| the next 30 % | a sample of them fits the detector; of the labels those count that had arrived when the history ended |
| the next 30 % | the threshold: later than what was fitted, as live traffic will be, and with customers as well known |
| the last 10 % | a check: the share of alerts in traffic that neither detector nor threshold has seen |

A detector that learns from labels is then fitted to the threshold's part too, where enough labels have come
(`ml.detectors.recent`); the threshold comes from scores by what had not seen it.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from time import perf_counter
from typing import Final, Self

import numpy as np

from ml.arrays import Flags, Floats
from ml.dataset.history import History
from ml.dataset.labels import Labels
from ml.dataset.profiling import ProfilePass
from ml.dataset.split import TRAINING_PARTS, chosen_rows, training_cuts
from ml.dataset.transactions import Transactions, fold_history
from ml.detectors import DETECTORS, Detector, TooFewRows
from ml.detectors.columns import Choice, choose, narrowed
from ml.detectors.recent import Rows, WithRecent, fit_with_recent
from ml.drift.counts import Rows as DriftRows
from ml.drift.reference import DriftReference
from ml.features import FEATURES
from ml.features.customers import CustomerTable
from ml.features.declared import NOTHING, Declared
from ml.features.extras import for_unknown
from ml.features.profile_schema import PROFILE_FEATURES, PROFILE_SET
from ml.model import Model, usual_ranges
from ml.progress import Progress, silent, staged
from ml.thresholds.budget import threshold_for_budget
from ml.thresholds.decline import Declines, declines
from ml.thresholds.reference import Reference
from ml.training.policy import Policy
from ml.training.search import search

OUTSIDE: Final = "outside_range_"
"""What the metric begins with that says of an extra how many values of the history lay outside its declared range."""


class TrainingError(Exception):
    """The history can't be trained on; the text says what it lacks."""


@dataclass
class Trained:
    """A model, not yet registered, and all facts of its training; profiles: at the history's end, None where it has none."""

    model: Model
    customers: CustomerTable
    profiles: ProfilePass | None
    example: Floats
    params: dict[str, object]
    metrics: dict[str, float]


def train(
    history: History,
    policy: Policy,
    labels: Labels | None = None,
    progress: Progress = silent,
    declared: Declared = NOTHING,
) -> Trained:
    """A model with the threshold that flags a share `policy.budget` of the traffic.

    The same history, labels, policy and declaration give the same model. labels are required where the detector learns from
    them, and for a search. declared: of the history's extras; a value outside its range is unknown. Raises `TrainingError`
    where the history is too short for the budget or has too few known frauds, `ml.dataset.history.HistoryError` where it
    can't be read.
    """
    _refuse(policy, history.rows, labels)
    seconds = Stopwatch()
    customers, profiles = CustomerTable(), ProfilePass(labels) if policy.profiles else None
    with seconds.timed("fold"):
        rows_of_parts = chosen_rows(training_cuts(history.rows), policy.seed)
        folded = fold_history(
            history, rows_of_parts, customers, profiles=profiles, declared=declared, progress=progress
        )
    features = (*FEATURES, *(PROFILE_FEATURES if policy.profiles else ()), *history.extras)
    unknown = for_unknown(folded.parts["fit"].features, history.extras, declared)
    seen = _Seen(features, folded.filled(features, unknown), unknown)
    known, recent = (_known(labels, seen.parts[part], folded.end) for part in ("fit", "threshold"))
    try:
        with seconds.timed("search"):
            chosen = choose(DETECTORS[policy.detector], features, seen.rows, known, policy.seed)
            detector, columns = narrowed(chosen.detector, features)
            seen = seen.of(columns)
            found = search(detector, seen.rows, known, policy.trials, policy.seed, progress)
        with seconds.timed("fit"), staged(progress, f"fitting {policy.detector}"):
            held_out = seen.parts["threshold"].features
            learned = fit_with_recent(found.detector, Rows(seen.rows, known), Rows(held_out, recent), policy.seed)
    except TooFewRows as error:
        raise TrainingError(str(error)) from error
    with seconds.timed("threshold"), staged(progress, "choosing the threshold"):
        model, alert_shares = _judging(policy, learned, seen, recent)
    params: dict[str, object] = {
        "rows": history.rows,
        "customers": customers.customers,
        "history_until": datetime.fromtimestamp(folded.end / 1000, UTC).isoformat(),
        "unseen_from": datetime.fromtimestamp(seen.parts["check"].time[0] / 1000, UTC).isoformat(),
        "labels": 0 if labels is None else len(labels.time),
        "seed": policy.seed,
        "trials": policy.trials,
        "detector": policy.detector,
        "currency_version": history.rates.version or "none",
        **_profile_params(policy, labels, chosen),
        **_hyper_parameters(found.detector),
    }
    metrics = {
        **alert_shares,
        "known_frauds_fit_part": float(known.sum()),
        **found.metrics,
        **{f"{OUTSIDE}{name}": float(count) for name, count in folded.outside.items()},
        **{f"rows_{name}_part": float(len(part.features)) for name, part in seen.parts.items()},
        **{f"seconds_{stage}": taken for stage, taken in seconds.taken.items()},
    }
    return Trained(model, customers, profiles, seen.rows, params, metrics)


@dataclass(frozen=True)
class _Seen:
    """What a detector sees: the names of the columns, the parts of the history, and what an unknown extra becomes."""

    features: tuple[str, ...]
    parts: Mapping[str, Transactions]
    unknown: Mapping[str, float]

    @property
    def rows(self) -> Floats:
        """(n, F) of the part that a detector is fitted to."""
        return self.parts["fit"].features

    def of(self, columns: Sequence[int]) -> Self:
        """The same with these columns alone, ascending or not."""
        if len(columns) == len(self.features):
            return self
        names = tuple(self.features[k] for k in columns)
        few = {
            name: replace(part, features=np.ascontiguousarray(part.features[:, columns]))
            for name, part in self.parts.items()
        }
        return type(self)(names, few, {name: value for name, value in self.unknown.items() if name in names})


def _known(labels: Labels | None, part: Transactions, end: int) -> Flags:
    """Which transactions (n,) of a part were known as fraud when the history ended, ms."""
    return np.zeros(len(part), np.bool_) if labels is None else labels.fraud_of(part.transaction, by=end)


def _judging(policy: Policy, learned: WithRecent, seen: _Seen, known: Flags) -> tuple[Model, dict[str, float]]:
    """The model with its thresholds, and the metrics that say what they leave; known: frauds (n,) of the threshold part."""
    held_out, scores = seen.parts["threshold"], learned.held_out
    threshold = threshold_for_budget(scores, policy.budget)
    reference = Reference.from_scores(scores, held_out.segment, threshold, policy.budget)
    declined = Declines()
    if DETECTORS[policy.detector].needs_labels:
        declined = declines(scores, known, threshold)
    model = Model(
        policy.name,
        0,
        learned.scorer,
        threshold,
        seen.features,
        usual_ranges(seen.rows),
        policy.budget,
        reference,
        extras=seen.unknown,
        decline_threshold=declined.threshold,
    )
    check = seen.parts["check"]
    checked = learned.scorer.anomaly_score(check.features)
    model = replace(model, drift_reference=_drift_reference(model, (held_out, scores), (check, checked)))
    return model, {
        **({} if learned.left_out is None else {"left_out_threshold_part": float(learned.left_out)}),
        "alert_share_threshold_part": float(model.is_anomaly(scores).mean()),
        "alert_share_check_part": float(model.is_anomaly(checked).mean()),
        **{f"decline_{name}": value for name, value in declined._asdict().items() if value is not None},
    }


def _drift_reference(model: Model, *parts: tuple[Transactions, Floats]) -> bytes:
    """What traffic was like that the detector was not fitted to, from parts and their scores."""
    of_parts, scores = zip(*parts, strict=True)
    time, features, segment = (
        np.concatenate([getattr(part, name) for part in of_parts]) for name in ("time", "features", "segment")
    )
    together = np.concatenate(scores)
    rows = DriftRows(time, features, together, segment, model.is_anomaly(together))
    return DriftReference.from_rows(model.features, rows).to_json()


def _profile_params(policy: Policy, labels: Labels | None, chosen: Choice) -> dict[str, object]:
    """What the model sees of profiles; one that sees what labels say of merchants is not one that knows no label."""
    if not policy.profiles:
        return {}
    columns = {} if chosen.column_set is None else {"column_set": chosen.column_set}
    return {"profiles": PROFILE_SET, "labels_in_profiles": labels is not None, **columns}


def _hyper_parameters(detector: Detector) -> dict[str, object]:
    """By the names of their fields; those of a combination's members with the member's before them."""
    found: dict[str, object] = {}
    for name, value in asdict(detector).items():  # type: ignore[call-overload]
        found |= {f"{name}.{inner}": v for inner, v in value.items()} if isinstance(value, dict) else {name: value}
    return found


def _refuse(policy: Policy, rows: int, labels: Labels | None) -> None:
    if policy.detector not in DETECTORS:
        raise TrainingError(f"a detector is one of {', '.join(DETECTORS)}, not {policy.detector!r}")
    if labels is None and policy.needs_labels:
        raise TrainingError(f"{policy.detector} with {policy.trials} trials needs labels, but none were given")
    _refuse_unmeetable(policy.budget, rows)


def _refuse_unmeetable(budget: float, rows: int) -> None:
    if not 0 < budget < 1:
        raise TrainingError(
            f"the alert budget is a share of the traffic, between 0 and 1 (0.005 is 0.5 %), not {budget:g}"
        )
    begin, end, _ = TRAINING_PARTS["threshold"]
    enough = math.ceil(1 / budget / (end - begin)) + 1
    if rows < enough:
        raise TrainingError(
            f"a budget of {budget:.3%} needs a history of at least {enough:,} transactions, not {rows:,}"
        )


@dataclass
class Stopwatch:
    """Seconds that named stages took."""

    taken: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Time what happens inside."""
        begin = perf_counter()
        yield
        self.taken[stage] = perf_counter() - begin
