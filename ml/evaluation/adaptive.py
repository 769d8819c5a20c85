"""What thresholds that follow the traffic would have alerted: one table after another, each from the scores before it."""

from typing import Final

import numpy as np
import pandas as pd

from ml.arrays import Flags, Floats, Ints
from ml.dataset.transactions import Transactions
from ml.features import SECOND
from ml.segments import SegmentIds
from ml.thresholds.counts import BLOCK, BLOCKS_A_DAY, counted
from ml.thresholds.grid import OWN
from ml.thresholds.making import BlockThresholds, thresholds_for
from ml.thresholds.reference import Reference

DELAY: Final = 20 * SECOND
"""Milliseconds from a score to the first transaction that is judged by a table which counts it."""


def adaptive_alerts(reference: Reference, part: Transactions, scores: Floats) -> Flags:
    """Which transactions (n,), in the order of time, are alerted, where each arrives at the time of its event.

    scores: (n,). It begins with the model's own threshold; from then on each block of time has its own thresholds, and each
    moment of it a look at whether there is a wave.
    """
    bins, segment, known = reference.grid.bins(scores), *_numbered(part, reference)
    starts = _starts(part.time // BLOCK)
    is_alert = np.zeros(len(scores), np.bool_)
    seen: list[np.ndarray] = []
    for start, end in zip(starts, np.append(starts[1:], len(scores)), strict=True):
        now = slice(start, end)
        if start:
            chosen = thresholds_for(int(part.time[start] // BLOCK), np.concatenate(seen), reference)
            is_alert[now] = _alerts(chosen, part.time[now], segment[now], bins[now])
        else:
            is_alert[now] = bins[now] > OWN
        seen.append(counted(part.time[now], known[segment[now]], bins[now], is_alert[now]))
        seen = seen[-BLOCKS_A_DAY:]
    return is_alert


def _numbered(part: Transactions, reference: Reference) -> tuple[Ints, SegmentIds]:
    """(n,) the place of each transaction's segment among the reference's, and (S + 1,) those segments' numbers."""
    places, names = pd.factorize(part.segment)
    own = {segment.name: place for place, segment in enumerate(reference.segments)}
    numbers = np.array([own.get(name, len(own)) for name in names], np.int64)
    return numbers[places], np.append(reference.ids, np.uint64(0))


def _alerts(chosen: BlockThresholds, time: Ints, segment: Ints, bins: Ints) -> Flags:
    """Which transactions (n,) of one block are alerted."""
    known = np.searchsorted(time, time - DELAY)  # how many each table knows of
    over = np.append(0, np.cumsum(bins > chosen.level[segment]))[known]
    return bins > chosen.by_alarm[chosen.alarm(known, over), segment]


def _starts(values: Ints) -> Ints:
    """Where values (n,) change, and 0."""
    return np.flatnonzero(np.append(True, values[1:] != values[:-1]))
