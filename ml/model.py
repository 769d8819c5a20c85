"""A trained model: the anomaly score of a transaction's features, the threshold it is judged by, the reasons for it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from ml import explanation
from ml.arrays import Flags, Floats
from ml.features.extras import filled
from ml.schema import Reason
from ml.scorers.scorer import Scorer
from ml.thresholds.budget import DEFAULT_BUDGET

if TYPE_CHECKING:  # it takes pandas, which Spark's Python workers, which import this many times, need not load
    from ml.thresholds.reference import Reference

USUAL_PERCENTILES: Final = (1.0, 50.0, 99.0)


class Origin(msgspec.Struct, frozen=True):
    """Where a stored model came from: the registry (its address, without secrets), the run that made it ("" where none
    is known), and when it was registered there (ms since the epoch)."""

    registry: str = ""
    run: str = ""
    registered_at: int = 0


NOWHERE: Final = Origin()


@dataclass(frozen=True, eq=False)
class Model:
    """One version of a model, ready to judge, whichever detector it came from.

    threshold: scores above it are anomalies. features: names of the columns, in order. usual: (len(features), 3), of the
    training rows' features the low end, the middle and the high end: between the ends lie 98 % of them. budget: the share
    of traffic that the threshold was chosen to flag. reference: what adaptive thresholds begin with; None where a model was
    stored without one; it then keeps its own threshold. version is 0 before the model is registered.
    extras: what an unknown one of the extras among the features becomes, by name. decline_threshold: scores above it are, by
    what training knew, fraud in 95 of 100 cases (`ml.thresholds.decline`); never below `threshold`; None where training found
    none, or did not look. drift_reference: what traffic was like where the threshold was chosen, as the JSON of a
    `ml.drift.reference.DriftReference`, which who judges need not decode; empty where a model was stored without one.
    digest: the SHA-256 of its content (`ml.registry.serialization`); "" before it is stored. Another registry gives the same
    name and version to another model.
    """

    name: str
    version: int
    scorer: Scorer
    threshold: float
    features: tuple[str, ...]
    usual: Floats
    budget: float = DEFAULT_BUDGET
    reference: "Reference | None" = None
    digest: str = ""
    origin: Origin = NOWHERE
    extras: Mapping[str, float] = field(default_factory=dict)
    decline_threshold: float | None = None
    drift_reference: bytes = b""

    def known(self, features: Floats) -> Floats:
        """Features (n, len(self.features)) in which unknown extras, NaN, have become what the model takes for them."""
        return filled(features, self.features, self.extras)

    def anomaly_score(self, features: Floats) -> Floats:
        """How strange each row is, in [0, 1], higher is stranger: (n, len(self.features)) → (n,).

        A row's score does not depend on the rows around it.
        """
        return self.scorer.anomaly_score(features)

    def anomaly_score_one(self, row: Floats) -> float:
        """The same for one row (len(self.features),), in microseconds; it agrees to 1e-9."""
        return self.scorer.anomaly_score_one(row)

    def is_anomaly(self, anomaly_scores: Floats) -> Flags:
        """Which scores are above the threshold; the threshold itself is normal, so that ties can't exceed the budget."""
        return anomaly_scores > self.threshold

    def reasons(self, features: Floats) -> list[list[Reason]]:
        """For each row of features (n, len(self.features)) what drove its score; see `ml.explanation.reasons`."""
        return explanation.reasons(self.scorer, features, self.usual, self.features)


def usual_ranges(features: Floats) -> Floats:
    """The 1st, 50th and 99th percentile of each column: (n, F) → (F, 3)."""
    return np.ascontiguousarray(np.percentile(features, USUAL_PERCENTILES, axis=0).T)
