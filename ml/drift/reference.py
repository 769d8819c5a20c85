"""What ordinary traffic was like where a model was trained: histograms by hour of the week, and how much they usually vary."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from typing import Final, Self

import msgspec
import numpy as np

from ml.arrays import Floats, Ints
from ml.drift.bins import BINS, Bins
from ml.drift.counts import BLOCK, ISSUES, Counts, Rows, merged
from ml.drift.distances import chi_square
from ml.features import DAY, HOUR
from ml.model import Model

HOURS: Final = 168
BLOCKS_A_DAY: Final = DAY // BLOCK
_LEAST_PAIRS: Final = 2
_LEAST_ROWS: Final = 20


class NoReference(Exception):
    """Nothing says what traffic was like in a model's training; the text says what to do."""


class DriftReference(msgspec.Struct, frozen=True, dict=True):
    """Histograms of a training's held-out traffic, one of each hour of the week (UTC, from the epoch's first hour on).

    columns: (HOURS, C · BINS). segments: (HOURS, (S + 1) · BINS). alerts: (HOURS, S + 1). dispersions: of each column, of the
    segments, of the alerts, and of those of a segment (C + 3,), how much more than chance they vary from week to week (or day
    to day, where there are too few weeks): first of blocks, then of days.
    """

    bins: Bins
    columns: tuple[tuple[int, ...], ...]
    segments: tuple[tuple[int, ...], ...]
    alerts: tuple[tuple[int, ...], ...]
    dispersions: tuple[tuple[float, ...], tuple[float, ...]]

    @classmethod
    def from_rows(cls, names: tuple[str, ...], rows: Rows) -> Self:
        """From n transactions, at least one, with features (n, len(names))."""
        bins = Bins.from_rows(names, rows.features, rows.scores, rows.segment)
        return cls.from_counts(bins, Counts.counted(bins, rows))

    @classmethod
    def from_counts(cls, bins: Bins, counts: Counts) -> Self:
        """From the counts of some days."""
        hour = hour_of_week(counts.blocks)
        columns, segments, alerts = (
            _by_hour(hour, array) for array in (counts.columns, counts.segments, counts.alerts)
        )
        dispersions = _dispersions(counts, 1), _dispersions(counts, BLOCKS_A_DAY)
        return cls(bins, columns, segments, alerts, dispersions)

    @classmethod
    def of_model(cls, model: Model) -> Self:
        """The one that is stored with a model. Raises `NoReference` where there is none, or it is of another form."""
        if not model.drift_reference:
            raise NoReference(
                f"version {model.version} of {model.name} was stored without what its training's traffic was like: train "
                "a new one"
            )
        try:
            return msgspec.json.decode(model.drift_reference, type=cls)
        except ValueError as error:  # text that is not UTF-8 too
            raise NoReference(
                f"the reference of version {model.version} of {model.name} can't be read: {error}"
            ) from error

    def to_json(self) -> bytes:
        """As it is stored with a model."""
        return msgspec.json.encode(self)

    def counts(self, blocks: Ints) -> Counts:
        """What (m,) blocks are compared with: one set of counts, the sum over the hours of the week that they are in.

        An hour of the week that training did not see is taken from the same hour of all days.
        """
        hours = np.unique(hour_of_week(blocks))
        columns, segments, alerts = (array[hours].sum(0, keepdims=True) for array in self._filled)
        nothing = np.zeros((1, len(ISSUES)), np.int64)
        return Counts(np.array([0]), columns, segments, alerts, nothing, nothing[:, 0])

    def dispersion(self, blocks: int) -> Floats:
        """(C + 3,) of windows of so many blocks, between those of one and those of a day."""
        one, day = np.array(self.dispersions)
        return np.asarray(one + (day - one) * min((blocks - 1) / (BLOCKS_A_DAY - 1), 1.0))

    @cached_property
    def _filled(self) -> list[Ints]:
        columns, segments = len(self.bins.names), len(self.bins.segments) + 1
        shapes = (columns, BINS), (segments, BINS), (segments,)
        rows = np.array(self.segments).sum(1)
        return [
            _filled(np.array(array, np.int64).reshape(HOURS, *shape), rows)
            for array, shape in zip((self.columns, self.segments, self.alerts), shapes, strict=True)
        ]


def hour_of_week(blocks: Ints) -> Ints:
    """(n,) in which of the week's 168 hours blocks (n,) are; the epoch began on a Thursday."""
    return np.asarray(blocks * BLOCK // HOUR % HOURS, np.int64)


def _by_hour(hour: Ints, array: Ints) -> tuple[tuple[int, ...], ...]:
    """The sums over blocks that are in the same hour: (m,), (m, …) → (HOURS, …), each hour's in one row."""
    whole = np.zeros((HOURS, *array.shape[1:]), np.int64)
    np.add.at(whole, hour, array)
    return tuple(tuple(row) for row in whole.reshape(HOURS, -1).tolist())


def _filled(by_hour: Ints, rows: Ints) -> Ints:
    of_day = by_hour.reshape(7, 24, *by_hour.shape[1:]).sum(0)
    seen = rows.reshape(rows.shape + (1,) * (by_hour.ndim - 1)) > 0
    return np.where(seen, by_hour, np.tile(of_day, (7,) + (1,) * (of_day.ndim - 1)))


def _dispersions(counts: Counts, length: int) -> tuple[float, ...]:
    """Of windows of so many blocks the mean statistic per degree of freedom, between a window and the one a week after it, or a
    day where there are too few of those; 1 where there is none."""
    windows = summed(counts, length)
    for days in (7, 1):
        lag = days * BLOCKS_A_DAY // length
        later = np.searchsorted(windows.blocks, windows.blocks + lag)
        first = np.flatnonzero(np.append(windows.blocks, -1)[later] == windows.blocks + lag)
        later = later[first]
        if len(first) >= _LEAST_PAIRS:
            break
    enough = np.minimum(windows.rows[first], windows.rows[later]) >= _LEAST_ROWS
    one, other = windows.of(first[enough]), windows.of(later[enough])
    return tuple(
        ratio
        for a, b in zip(_histograms(one), _histograms(other), strict=True)
        for ratio in _mean_ratio(*chi_square(a, b))
    )


def summed(counts: Counts, length: int) -> Counts:
    """Counts by windows of so many blocks, which begin at multiples of it; each is called by its number."""
    return merged([replace(counts, blocks=counts.blocks // length)])


def _histograms(counts: Counts) -> Iterator[Ints]:
    """(m, T, P) of m windows: the columns; the segments; what was alerted and what was not, of all, and of each segment."""
    rows = counts.segments.sum(2)
    of_segments = np.stack([counts.alerts, rows - counts.alerts], 2)
    yield counts.columns
    yield rows[:, None]
    yield of_segments.sum(1)[:, None]
    yield of_segments.reshape(-1, 1, 2)


def _mean_ratio(statistic: Floats, freedom: Ints) -> list[float]:
    """(m, T) → (T,), at least 1."""
    total, freedoms = statistic.sum(0), freedom.sum(0)
    return np.maximum(np.divide(total, freedoms, out=np.ones(len(total)), where=freedoms > 0), 1.0).tolist()  # type: ignore[no-any-return]
