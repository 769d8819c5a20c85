"""A stretch of a history's days, with what was fraud in it, on which trained models are compared."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ml.arrays import Flags, Floats, Ints
from ml.dataset.profiling import ProfilePass
from ml.dataset.transactions import Transactions, fold_history
from ml.evaluation.data import outline
from ml.evaluation.errors import EvaluationError
from ml.features import DAY, FEATURES
from ml.features.available import needs_profiles
from ml.features.currencies import AS_PAID, Rates
from ml.features.customers import CustomerTable
from ml.features.declared import NOTHING, Declared
from ml.features.profile_schema import PROFILE_FEATURES
from ml.model import Model
from ml.progress import Progress, silent


@dataclass(frozen=True, eq=False)
class Stretch:
    """The n transactions from one time to another. names: of their features' columns; is_fraud: (n,), by the truth, or by the
    labels where a history has nothing else; day: (n,) which of `days` each is on; days: (d,) since the epoch, UTC."""

    transactions: Transactions
    names: tuple[str, ...]
    is_fraud: Flags
    day: Ints
    days: Ints

    def scores(self, model: Model) -> Floats:
        """A model's anomaly scores (n,). Raises `EvaluationError` where the history lacks an extra that it judges by."""
        lacking = sorted(set(model.features) - set(self.names))
        if lacking:
            raise EvaluationError(f"the history lacks what the model judges by: {', '.join(lacking)}")
        columns = [self.names.index(name) for name in model.features]
        return np.asarray(model.anomaly_score(model.known(self.transactions.features[:, columns])), np.float64)

    def by_day(self, of: Flags) -> Floats:
        """How many of the transactions (n,) that are marked each day has: (d,)."""
        return np.bincount(self.day[of], minlength=len(self.days)).astype(np.float64)


def read_stretch(
    folder: Path,
    models: Sequence[Model],
    begin: int | None = None,
    end: int | None = None,
    *,
    rates: Rates = AS_PAID,
    declared: Declared = NOTHING,
    progress: Progress = silent,
) -> Stretch:
    """The transactions of a history from `begin` up to `end` (ms; None: its own), with all features that the models need.

    What comes before `begin` is the customers' past. Raises `EvaluationError` where there is none in between,
    `ml.dataset.history.HistoryError` where the history can't be read.
    """
    seen = outline(folder, rates=rates, progress=progress)
    first, last = np.searchsorted(
        seen.times, [seen.times[0] if begin is None else begin, np.inf if end is None else end]
    )
    if first == last:
        raise EvaluationError(f"{folder} has no transaction between the days that were asked for")
    profiles = ProfilePass(seen.knowledge.labels) if any(needs_profiles(model.features) for model in models) else None
    folded = fold_history(
        seen.history,
        {"judged": np.arange(first, last)},
        CustomerTable(),
        profiles=profiles,
        currency=seen.currency,
        declared=declared,
        progress=progress,
    )
    found = folded.parts["judged"]
    names = (*FEATURES, *(() if profiles is None else PROFILE_FEATURES), *seen.history.extras)
    days, day = np.unique(found.time // DAY, return_inverse=True)
    return Stretch(found, names, seen.knowledge.truth.fraud_of(found.transaction), day, days)
