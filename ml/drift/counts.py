"""Histograms of traffic by block of time: bounded, and mergeable in any order, however a stream was cut."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Final, NamedTuple, Self

import numpy as np

from ml.arrays import Flags, Floats, Ints, Names
from ml.drift.bins import BINS, Bins
from ml.features import MINUTE
from ml.features.events import milliseconds
from ml.schema import REQUIRED_FIELDS, TRANSACTION_FIELDS

BLOCK: Final = 10 * MINUTE
"""Milliseconds of event time that are counted together."""

OPTIONAL: Final = tuple(name for name in TRANSACTION_FIELDS if name not in REQUIRED_FIELDS)
ISSUES: Final = (*(f"no {name}" for name in OPTIONAL), "unknown category", "late")
"""What data may lack: a field of the transaction, a merchant category that training knew; or it came after later data."""


def block_of(time: datetime) -> int:
    """The block that a time is in."""
    return milliseconds(time) // BLOCK


class Rows(NamedTuple):
    """n scored transactions: event times (n,) ms, features (n, F), scores, names of segments and alerts (n,)."""

    time: Ints
    features: Floats
    scores: Floats
    segment: Names
    is_alert: Flags


@dataclass(frozen=True, eq=False)
class Counts:
    """How many transactions of each of m blocks are in each bin; blocks (m,) ascend, each of BLOCK ms since the epoch.

    columns: (m, C, BINS) of each feature and, last, of the score. segments: (m, S + 1, BINS) of the score by segment, the last
    of all others. alerts: (m, S + 1). affected: (m, len(ISSUES)) by an issue of the data, and inspected: (m,) how many were
    looked at for these.
    """

    blocks: Ints
    columns: Ints
    segments: Ints
    alerts: Ints
    affected: Ints
    inspected: Ints

    @classmethod
    def empty(cls, bins: Bins) -> Self:
        """Of no transaction."""
        columns, segments = len(bins.names), len(bins.segments) + 1
        shapes = ((0,), (0, columns, BINS), (0, segments, BINS), (0, segments), (0, len(ISSUES)), (0,))
        return cls(*(np.zeros(shape, np.int64) for shape in shapes))

    @classmethod
    def counted(cls, bins: Bins, rows: Rows, issues: Flags | None = None) -> Self:
        """Of n transactions; issues: (n, len(ISSUES)) which of them each has, None where nobody looked."""
        blocks, of_block = np.unique(rows.time // BLOCK, return_inverse=True)
        m, columns, segments = len(blocks), len(bins.names), len(bins.segments) + 1
        places, segment_place = bins.places(rows.features, rows.scores), bins.segment_places(rows.segment)
        row = of_block[:, None] * columns + np.arange(columns)
        whole = np.bincount((row * BINS + places).ravel(), minlength=m * columns * BINS)
        by_segment = of_block * segments + segment_place
        scored = np.bincount(by_segment * BINS + places[:, -1], minlength=m * segments * BINS)
        alerts = np.bincount(by_segment[rows.is_alert], minlength=m * segments)
        affected, inspected = np.zeros((m, len(ISSUES)), np.int64), np.zeros(m, np.int64)
        if issues is not None:
            np.add.at(affected, of_block, issues)
            inspected = np.bincount(of_block, minlength=m)
        return cls(
            blocks,
            whole.reshape(m, columns, BINS),
            scored.reshape(m, segments, BINS),
            alerts.reshape(m, segments),
            affected,
            inspected,
        )

    @property
    def rows(self) -> Ints:
        """(m,) transactions of each block."""
        return np.asarray(self.segments.sum(axis=(1, 2)), np.int64)

    @property
    def arrays(self) -> list[Ints]:
        """All of them, in the order of the fields."""
        return [getattr(self, field.name) for field in fields(self)]

    def of(self, rows: Ints | Flags | slice) -> Self:
        """Some of the blocks."""
        return type(self)(*(array[rows] for array in self.arrays))

    def between(self, begin: int, end: int) -> Self:
        """The blocks from `begin` to before `end`."""
        return self.of(slice(*np.searchsorted(self.blocks, (begin, end)).tolist()))


def merged(counts: Iterable[Counts]) -> Counts:
    """The sum of several, of the same bins, at least one: the same for any order and grouping."""
    parts = list(counts)
    blocks, *arrays = (np.concatenate(of_all) for of_all in zip(*(part.arrays for part in parts), strict=True))
    different, place = np.unique(blocks, return_inverse=True)
    if not len(different):
        return parts[0]
    order = np.argsort(place, kind="stable")
    starts = np.searchsorted(place[order], np.arange(len(different)))
    return Counts(different, *(np.add.reduceat(array[order], starts) for array in arrays))
