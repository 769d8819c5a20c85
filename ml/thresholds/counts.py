"""Counts of anomaly scores by segment, time and bin: a histogram that can be merged, whichever way a stream was cut.

A quantile sketch such as KLL would be smaller, but its content depends on chance and on the order of its merges: a
replay cut into other micro-batches would give other thresholds. Counts in fixed bins are the same for any cut.
"""

from collections.abc import Iterable
from typing import Final

import numpy as np

from ml.arrays import Flags, Ints
from ml.features import DAY, HOUR
from ml.segments import SegmentIds

BLOCK: Final = HOUR
"""Milliseconds of Kafka's clock that are counted together."""

BLOCKS_A_DAY: Final = DAY // BLOCK
ALERTS: Final = -1
"""The bin that counts which of a block's scores were alerts, whatever their threshold was."""

COUNT: Final = np.dtype([("block", "i8"), ("segment", "u8"), ("bin", "i2"), ("count", "i8")])
"""One count. block: of BLOCK ms each, since the epoch. A counted set of scores is (m,) COUNT, sorted, each bin once."""


def counted(time: Ints, segment: SegmentIds, score_bin: Ints, is_alert: Flags) -> np.ndarray:
    """Counts of n scores: their Kafka times (ms), segments, bins (`Grid.bins`), and whether each was an alert."""
    out = np.empty(len(time) + int(is_alert.sum()), COUNT)
    scores, alerts = out[: len(time)], out[len(time) :]
    scores["block"], scores["segment"], scores["bin"] = time // BLOCK, segment, score_bin
    alerts["block"], alerts["segment"], alerts["bin"] = time[is_alert] // BLOCK, segment[is_alert], ALERTS
    out["count"] = 1
    return merged([out])


def merged(counts: Iterable[np.ndarray]) -> np.ndarray:
    """The sum of several (…,) COUNT: the same for any order and grouping."""
    together = np.concatenate([np.empty(0, COUNT), *counts])
    together = together[np.lexsort((together["bin"], together["segment"], together["block"]))]
    keys = together[["block", "segment", "bin"]]
    starts = np.flatnonzero(np.append(np.ones(min(1, len(keys)), np.bool_), keys[1:] != keys[:-1]))
    out = together[starts]
    if len(starts):
        out["count"] = np.add.reduceat(together["count"], starts)
    return out
