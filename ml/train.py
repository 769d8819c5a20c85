"""Training: from a history of transactions, without labels, to a model that meets an alert budget.

The history is folded once, in time order, and cut in time:

| part of the rows | what it serves |
| --- | --- |
| the first 30 % | nothing but the customers' past: in them every merchant is new, as it is in no later traffic |
| the next 30 % | a sample of them fits the forest |
| the next 30 % | the threshold: later than what was fitted, as live traffic will be, and with customers as well known |
| the last 10 % | a check: the share of alerts in traffic that neither forest nor threshold has seen |
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import Final

import numpy as np
import numpy.typing as npt
from rich.progress import Progress

from ml.features import FEATURES, NO_POSITION
from ml.history import History
from ml.model import ROWS_PER_TREE, TREES, Floats, Model, fit, threshold_for_budget, usual_ranges
from ml.parse import events_from_arrow
from ml.state import CustomerTable

PARTS: Final = {"fit": (0.3, 0.6, 200_000), "threshold": (0.6, 0.9, 500_000), "check": (0.9, 1.0, 500_000)}
"""Where each part begins and ends, as shares of the rows, and the most rows of it that are kept, drawn at random."""


class TrainingError(Exception):
    """The history can't be trained on; the text says what it lacks."""


@dataclass
class Trained:
    """A model, not yet registered, and all that there is to know of its training."""

    model: Model
    customers: CustomerTable
    example: Floats
    params: dict[str, object]
    metrics: dict[str, float]


def train(history: History, name: str, budget: float, seed: int, progress: Progress) -> Trained:
    """A model for the registered name, with the threshold that flags a share `budget` of the traffic.

    The same history, budget and seed give the same model. Raises `TrainingError` where the history is too short for the
    budget, `ml.history.HistoryError` where it can't be read. `progress` is started and stopped here.
    """
    _refuse_unmeetable(budget, history.rows)
    seconds = Stopwatch()
    customers = CustomerTable()
    with progress:
        with seconds.of("fold"):
            parts = _fold(history, customers, seed, progress)
        with seconds.of("fit"), _shown(progress, f"fitting {TREES} trees"):
            pipeline = fit(parts["fit"], FEATURES, seed)
        with seconds.of("threshold"), _shown(progress, "choosing the threshold"):
            unjudged = Model(name, 0, pipeline, math.nan, FEATURES, usual_ranges(parts["fit"]), budget)
            scores = unjudged.anomaly_score(parts["threshold"])
            threshold = threshold_for_budget(scores, budget)
            checked = unjudged.anomaly_score(parts["check"])
    model = Model(name, 0, pipeline, threshold, FEATURES, unjudged.usual, budget)
    params: dict[str, object] = {
        "rows": history.rows,
        "customers": customers.customers,
        "seed": seed,
        "trees": TREES,
        "rows_per_tree": ROWS_PER_TREE,
    }
    metrics = {
        "alert_share_threshold_part": float(model.is_anomaly(scores).mean()),
        "alert_share_check_part": float(model.is_anomaly(checked).mean()),
        **{f"rows_{part}_part": float(len(rows)) for part, rows in parts.items()},
        **{f"seconds_{stage}": taken for stage, taken in seconds.taken.items()},
    }
    return Trained(model, customers, parts["fit"], params, metrics)


def _refuse_unmeetable(budget: float, rows: int) -> None:
    if not 0 < budget < 1:
        raise TrainingError(
            f"the alert budget is a share of the traffic, between 0 and 1 (0.005 is 0.5 %), not {budget:g}"
        )
    begin, end, _ = PARTS["threshold"]
    enough = math.ceil(1 / budget / (end - begin)) + 1
    if rows < enough:
        raise TrainingError(
            f"a budget of {budget:.3%} needs a history of at least {enough:,} transactions, not {rows:,}"
        )


def chosen_rows(rows: int, seed: int) -> dict[str, npt.NDArray[np.int64]]:
    """Which rows of a history each part keeps, in ascending order; no row is in two parts."""
    random = np.random.default_rng(seed)
    chosen = {}
    for part, (begin, end, most) in PARTS.items():
        window = np.arange(round(begin * rows), round(end * rows))
        chosen[part] = window if len(window) <= most else np.sort(random.choice(window, most, replace=False))
    return chosen


def _fold(history: History, customers: CustomerTable, seed: int, progress: Progress) -> dict[str, Floats]:
    """Fold the whole history into `customers`; returns the features of each part's rows, (n, len(FEATURES))."""
    chosen = chosen_rows(history.rows, seed)
    kept: dict[str, list[Floats]] = {part: [] for part in chosen}
    bar = progress.add_task("folding transactions", total=history.rows)
    begin = 0
    for piece in history.pieces():
        folded = customers.fold(piece["customer_id"], events_from_arrow(piece))
        has_features = folded.duplicate_of == NO_POSITION
        for part, rows in chosen.items():
            here = rows[slice(*np.searchsorted(rows, (begin, begin + piece.num_rows)))] - begin
            kept[part].append(folded.features[here[has_features[here]]])
        begin += piece.num_rows
        progress.advance(bar, piece.num_rows)
    return {part: np.concatenate(pieces) for part, pieces in kept.items()}


@dataclass
class Stopwatch:
    """Seconds that named stages took."""

    taken: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def of(self, stage: str) -> Iterator[None]:
        """Time what happens inside."""
        begin = perf_counter()
        yield
        self.taken[stage] = perf_counter() - begin


@contextmanager
def _shown(progress: Progress, description: str) -> Iterator[None]:
    bar = progress.add_task(description, total=None)
    yield
    progress.update(bar, total=1, completed=1)
