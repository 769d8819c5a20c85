"""What a model's scores were like where its threshold was chosen: the share of each segment that lay above it."""

from typing import Final, Self

import msgspec
import numpy as np
import pandas as pd

from ml.arrays import Floats, Ints, Names
from ml.segments import SegmentIds, places_among, segment_id
from ml.thresholds.grid import BINS, Grid, above

_PSEUDO_ALERTS: Final = 1.0


class Segment(msgspec.Struct, frozen=True):
    """Rows of one segment, and how many of them lay above the model's own threshold."""

    name: str
    rows: int
    alerts: int


class Reference(msgspec.Struct, frozen=True):
    """The scores of the threshold part of a training. shares: (2 · STEPS + 1,) of all of them, above each of the grid's.

    A calibrated score must not be levelled across segments: the same share of alerts everywhere would be a worse
    operating point than one threshold for all. So each segment keeps the share that it had here.
    """

    grid: Grid
    budget: float
    shares: tuple[float, ...]
    segments: tuple[Segment, ...]

    @classmethod
    def from_scores(cls, anomaly_scores: Floats, segments: Names, threshold: float, budget: float) -> Self:
        """From the scores (n,) that a threshold was chosen on, and the names of their segments (n,)."""
        grid = Grid.from_scores(anomaly_scores, threshold, budget)
        counts = np.bincount(grid.bins(anomaly_scores), minlength=BINS).astype(np.int64)
        places, names = pd.factorize(segments, sort=True)
        rows = np.bincount(places, minlength=len(names)).tolist()
        alerts = np.bincount(places[anomaly_scores > threshold], minlength=len(names)).tolist()
        return cls(
            grid,
            budget,
            tuple((above(counts) / len(anomaly_scores)).tolist()),
            tuple(map(Segment, names.tolist(), rows, alerts)),
        )

    @property
    def ids(self) -> SegmentIds:
        """(len(segments),)"""
        return np.array([segment_id(segment.name) for segment in self.segments], np.uint64)

    def places_of(self, segments: SegmentIds) -> Ints:
        """(n,) where each segment (n,) stands among the reference's; after them all where it is none of them."""
        order = np.argsort(self.ids)
        return np.append(order, len(order))[places_among(self.ids[order], segments)]

    @property
    def own_shares(self) -> Floats:
        """(len(segments),) of each the share above the model's own threshold; small ones are pulled toward the share of all."""
        rows, alerts = (
            np.array([(segment.rows, segment.alerts) for segment in self.segments], np.float64).reshape(-1, 2).T
        )
        return (alerts + _PSEUDO_ALERTS) / (rows + _PSEUDO_ALERTS / self.budget)
