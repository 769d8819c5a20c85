"""What decides on a transaction: a version of a model, and the threshold of each segment."""

from typing import Final, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from detection.ranges import Versions
from ml.arrays import Floats
from ml.features import FEATURES, NO_POSITION
from ml.model import Model
from ml.schema import Reason
from ml.segments import SegmentIds
from ml.thresholds.table import Lookup, Table

BASIS: Final = np.dtype(
    [("features", np.float64, len(FEATURES)), ("segment", np.uint64), ("bytes", np.int64), ("position", np.int64)]
)
"""What the judgement of a transaction rests on: its features, the number of the segment whose threshold applies, and its
position in the log, by which a replay knows who judged it before. Of what is not to be judged the position is NO_POSITION.
bytes: of its key and of the beginning of its score."""

NOT_JUDGED: Final = np.array([(0, 0, 0, NO_POSITION)], BASIS).tobytes()


class Judgements(NamedTuple):
    """Of n transactions: anomaly_score, threshold (n,) float64; is_anomaly (n,) bool; reasons: one list an anomaly."""

    anomaly_score: Floats
    threshold: Floats
    is_anomaly: npt.NDArray[np.bool_]
    reasons: list[list[Reason]]


class Decision(NamedTuple):
    """Judges by a model and by thresholds: of a table, or the model's own for every segment."""

    versions: Versions
    model: Model
    thresholds: Lookup

    @classmethod
    def from_table(cls, versions: Versions, model: Model, table: Table | None) -> Self:
        """The decision by a table of thresholds; without, by the model's own threshold."""
        return cls(versions, model, lookup(model, table))

    def judge(self, features: Floats, segments: SegmentIds) -> Judgements:
        """Transactions (n, len(FEATURES)) of segments (n,) → their judgements.

        Above the threshold of its segment a score is an anomaly, at it normal. Raises ValueError where the model's score is
        not a finite number.
        """
        scores = self.model.anomaly_score(features)
        if not np.isfinite(scores).all():
            raise ValueError(f"the model's score is not a finite number: {scores[~np.isfinite(scores)][0]}")
        thresholds = self.thresholds.of_segments(segments)
        anomalies = scores > thresholds
        reasons = self.model.reasons(features[anomalies]) if anomalies.any() else []
        return Judgements(scores, thresholds, anomalies, reasons)

    @property
    def typical(self) -> np.ndarray:
        """(1,) BASIS: a transaction that is typical of those that the model was trained on, which it must be able to judge."""
        row = np.zeros(1, BASIS)
        row["features"] = self.model.usual[:, 1]
        return row


def lookup(model: Model, table: Table | None) -> Lookup:
    """The thresholds of a table, or the model's own."""
    return (
        Lookup.from_thresholds(model.threshold, {})
        if table is None
        else Lookup.from_thresholds(table.default, table.thresholds)
    )
