"""What decides on a transaction: a version of a model, and the threshold of each segment."""

from typing import Final, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from detection.ranges import Versions
from ml.arrays import Floats
from ml.features import FEATURES, NO_POSITION
from ml.features.available import Block, columns
from ml.model import Model
from ml.schema import Reason
from ml.thresholds.table import Lookup, Table

BASIS: Final = np.dtype(
    [("features", np.float64, len(FEATURES)), ("segment", np.uint64), ("bytes", np.int64), ("position", np.int64)]
)
"""What the judgement of a transaction rests on: its features, the number of the segment whose threshold applies, and its
position in the log, by which a replay knows who judged it before. Of what is not to be judged the position is NO_POSITION.
bytes: of its key and of the beginning of its score."""

NOT_JUDGED: Final = np.array([(0, 0, 0, NO_POSITION)], BASIS).tobytes()


class Judgements(NamedTuple):
    """Of n transactions, k of them anomalies: anomaly_score, threshold (n,) float64; is_anomaly (n,) bool.

    Of the anomalies: reasons, a list each; seen (k, len(features)), what the model judged them by, with the columns' names.
    """

    anomaly_score: Floats
    threshold: Floats
    is_anomaly: npt.NDArray[np.bool_]
    reasons: list[list[Reason]]
    seen: Floats
    features: tuple[str, ...]


class Decision(NamedTuple):
    """Judges by a model and by thresholds: of a table, or the model's own for every segment."""

    versions: Versions
    model: Model
    thresholds: Lookup

    @classmethod
    def from_table(cls, versions: Versions, model: Model, table: Table | None) -> Self:
        """The decision by a table of thresholds; without, by the model's own threshold."""
        return cls(versions, model, lookup(model, table))

    def judge(self, basis: np.ndarray) -> Judgements:
        """Transactions (n,) BASIS → their judgements.

        Above the threshold of its segment a score is an anomaly, at it normal. Raises ValueError where the model's score is
        not a finite number.
        """
        features = columns(self.model.features, self._blocks(basis))
        scores = self.model.anomaly_score(features)
        if not np.isfinite(scores).all():
            raise ValueError(f"the model's score is not a finite number: {scores[~np.isfinite(scores)][0]}")
        thresholds = self.thresholds.of_segments(basis["segment"])
        anomalies = scores > thresholds
        seen = features[anomalies]
        reasons = self.model.reasons(seen) if len(seen) else []
        return Judgements(scores, thresholds, anomalies, reasons, seen, self.model.features)

    def _blocks(self, basis: np.ndarray) -> list[Block]:
        """All that the model may judge by, from each of its sources."""
        return [Block(FEATURES, np.ascontiguousarray(basis["features"]))]

    @property
    def typical(self) -> np.ndarray:
        """(1,) BASIS: a transaction that is typical of those that the model was trained on, which it must be able to judge."""
        row = np.zeros(1, BASIS)
        typical = dict(zip(self.model.features, self.model.usual[:, 1].tolist(), strict=True))
        row["features"] = [typical.get(name, 0.0) for name in FEATURES]
        return row


def lookup(model: Model, table: Table | None) -> Lookup:
    """The thresholds of a table, or the model's own."""
    return (
        Lookup.from_thresholds(model.threshold, {})
        if table is None
        else Lookup.from_thresholds(table.default, table.thresholds)
    )
