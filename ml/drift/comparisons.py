"""What is compared in one window: pairs of histograms, of features, score, segments, alerts, and of what data lack."""

from typing import Final, NamedTuple

import numpy as np

from ml.arrays import Floats, Ints
from ml.drift.bins import BINS, OTHER, SCORE
from ml.drift.counts import ISSUES, Counts
from ml.drift.policy import DriftPolicy, Reference, Scale
from ml.drift.reference import BLOCKS_A_DAY, DriftReference

ALERTS: Final = "alerts"
SEGMENTS: Final = "segments"
SHAPE, ALERT_SHARE, ISSUE = range(3)
"""Kinds of comparisons: by the PSI, by the ratio of shares, by the rise of a share."""

WEEK: Final = 7 * BLOCKS_A_DAY
_BESIDE: Final = 3
_SHORT: Final = 6


class Comparisons(NamedTuple):
    """T of them: their names; histograms (T, P) of the window and of what it is compared with; dispersions (T,); kinds (T,).

    Of a share the histogram is of two bins: those that have it, and the others.
    """

    names: list[str]
    window: Ints
    reference: Ints
    dispersion: Floats
    kind: Ints


def compared(counts: Counts, end: int, scale: Scale, against: Reference, reference: DriftReference) -> Counts:
    """What the window that ends before block `end` is compared with; of last week half an hour more on both sides, where the
    window is short."""
    if against == "training":
        return reference.counts(counts.between(end - scale.blocks, end).blocks)
    beside = _BESIDE if scale.blocks < _SHORT else 0
    return counts.between(end - WEEK - scale.blocks - beside, end - WEEK + beside)


def comparisons(
    window: Counts, other: Counts, scale: Scale, reference: DriftReference, policy: DriftPolicy
) -> Comparisons:
    """All that have enough transactions on both sides, and enough alerts expected."""
    bins, dispersion = reference.bins, reference.dispersion(scale.blocks)
    width = max(BINS, len(bins.segments) + 1)
    one, two = _histograms(window, width), _histograms(other, width)
    called = [*bins.segments, OTHER]
    names = [*bins.names, SEGMENTS, *(f"{SCORE} of {name}" for name in called)]
    kinds = [SHAPE] * len(names) + [ALERT_SHARE] * (1 + len(called)) + [ISSUE] * len(ISSUES)
    names += [ALERTS, *(f"{ALERTS} of {name}" for name in called), *ISSUES]
    of_columns, (of_segments, of_alerts, of_own) = dispersion[:-3].tolist(), dispersion[-3:].tolist()
    values = [*of_columns, of_segments, *([of_columns[-1]] * len(called)), of_alerts, *([of_own] * len(called))]
    values += [of_segments] * len(ISSUES)
    kind, rows = np.array(kinds), (one.sum(1), two.sum(1))
    expected = two[:, 0] / np.maximum(rows[1], 1) * rows[0]
    enough = (rows[0] >= scale.least_rows) & (rows[1] >= scale.least_rows)
    kept = np.where(kind == ALERT_SHARE, expected >= scale.least_alerts, enough)
    kept &= np.array([name not in policy.left_out for name in names])
    chosen = [name for name, keep in zip(names, kept, strict=True) if keep]
    return Comparisons(chosen, one[kept], two[kept], np.array(values)[kept], kind[kept])


def _histograms(counts: Counts, width: int) -> Ints:
    """(T, width) of some blocks together, in the order of the names."""
    segments, alerts = counts.segments.sum(0), counts.alerts.sum(0)
    of_segments = segments.sum(1)
    shares = np.stack([alerts, of_segments - alerts], 1)
    affected = counts.affected.sum(0)
    issues = np.stack([affected, counts.inspected.sum() - affected], 1)
    parts = [counts.columns.sum(0), of_segments[None], segments, shares.sum(0)[None], shares, issues]
    return np.concatenate([np.pad(part, ((0, 0), (0, width - part.shape[1]))) for part in parts])
