"""What decides on a transaction: a version of a model, and the threshold of each segment."""

from functools import lru_cache
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

_FIELDS: Final = [
    ("features", np.float64, len(FEATURES)),
    ("segment", np.uint64),
    ("bytes", np.int64),
    ("position", np.int64),
]


@lru_cache(8)
def basis_type(extras: tuple[str, ...] = ()) -> np.dtype[np.void]:
    """What the judgement of a transaction rests on, where these extras are declared; see `BASIS`.

    extras: NaN where unknown; there is no such field where none are declared.
    """
    return np.dtype([*_FIELDS, *([("extras", [(name, np.float64) for name in extras])] if extras else [])])


BASIS: Final = basis_type()
"""What the judgement of a transaction rests on: its features, the number of the segment whose threshold applies, and its
position in the log, by which a replay knows who judged it before. Of what is not to be judged the position is NO_POSITION.
bytes: of its key and of the beginning of its score."""


@lru_cache(8)
def not_judged(kind: np.dtype[np.void]) -> bytes:
    """Of what is not to be judged, the bytes of its basis."""
    row = np.zeros(1, kind)
    row["position"] = NO_POSITION
    return row.tobytes()


NOT_JUDGED: Final = not_judged(BASIS)


def extras_in(basis: np.ndarray) -> Floats:
    """The extras (n, extras) of rows (n,) of a `basis_type` that has some: a view, which may be written to."""
    names = basis.dtype["extras"].names or ()
    return basis.view(np.dtype([*_FIELDS, ("extras", np.float64, (len(names),))]))["extras"]  # type: ignore[no-any-return]


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
        """Transactions (n,) of a `basis_type` → their judgements.

        Above the threshold of its segment a score is an anomaly, at it normal. Raises ValueError where the model's score is
        not a finite number.
        """
        features = self.model.known(columns(self.model.features, self._blocks(basis)))
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
        blocks = [Block(FEATURES, np.ascontiguousarray(basis["features"]))]
        if "extras" in (basis.dtype.names or ()):
            blocks.append(Block(basis.dtype["extras"].names or (), extras_in(basis)))
        return blocks

    def typical(self, kind: np.dtype[np.void] = BASIS) -> np.ndarray:
        """(1,) of a `basis_type`: a transaction that is typical of those that the model was trained on, which it must be able
        to judge."""
        row = np.zeros(1, kind)
        typical = dict(zip(self.model.features, self.model.usual[:, 1].tolist(), strict=True))
        row["features"] = [typical.get(name, 0.0) for name in FEATURES]
        if "extras" in (kind.names or ()):
            extras_in(row)[:] = [typical.get(name, np.nan) for name in kind["extras"].names or ()]
        return row


def lookup(model: Model, table: Table | None) -> Lookup:
    """The thresholds of a table, or the model's own."""
    return (
        Lookup.from_thresholds(model.threshold, {})
        if table is None
        else Lookup.from_thresholds(table.default, table.thresholds)
    )
