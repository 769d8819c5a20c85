"""A replay of a log that was judged before: each record by what the earlier ledger says, whatever the cut is now."""

import logging
from collections.abc import Sequence

import numpy as np
from pyspark.sql import SparkSession

from jobs.kept import Kept
from jobs.ledger import Entry, Ledger, Offsets, Range, Versions
from jobs.scoring import Judge
from jobs.storage import DurableFolder
from ml.features import position
from ml.registry import Registry

_log = logging.getLogger(__name__)

Change = tuple[int, int, Versions | None]
"""Partition, the first offset, and what judges from there on; None where the ledger does not know."""


class Replay:
    """The judges of records that an earlier ledger knows."""

    def __init__(self, spark: SparkSession, checkpoint: str, registry: Registry) -> None:
        self._checkpoint = checkpoint
        self._ledger = Ledger(DurableFolder(spark, f"{checkpoint}/ledger"))
        self._recorded: dict[str, list[Range]] = {}
        self._kept = Kept(spark, checkpoint, registry)

    def judges(self, entry: Entry, anew: Judge) -> list[tuple[int, Judge]]:
        """Who judges from a position on, in the order of positions; `anew` where the ledger does not know, and that is told."""
        if entry.topic_id not in self._recorded:
            self._recorded[entry.topic_id] = self._ledger.pieces(entry.topic_id)
        recorded = self._recorded[entry.topic_id]
        unknown = judged_anew(entry, recorded)
        if unknown:
            _log.warning("%d records are judged anew: the ledger of %s does not know them", unknown, self._checkpoint)
        changes = [
            (int(position(np.int64(partition), np.int64(offset))), anew if known is None else self._kept.judge(known))
            for partition, offset, known in schedule(entry, recorded)
        ]
        return sorted(changes, key=lambda change: change[0]) or [(0, anew)]


def schedule(entry: Entry, recorded: Sequence[Range]) -> list[Change]:
    """What judges a micro-batch's records, by partition and offset, according to the ranges of an earlier ledger.

    >>> earlier = [Range(0, 3, 1, {"0": 0}, {"0": 10}), Range(4, 9, 2, {"0": 10}, {"0": 20})]
    >>> schedule(Entry(0, 3, {"0": 5}, {"0": 25}), earlier)  # doctest: +NORMALIZE_WHITESPACE
    [(0, 5, Versions(model=1, thresholds=0, risk=0)), (0, 10, Versions(model=2, thresholds=0, risk=0)), (0, 20, None)]
    """
    changes: list[Change] = []
    for partition, end in entry.end.items():
        at = entry.start.get(partition, 0)
        for piece in recorded:
            first, last = max(at, piece.start.get(partition, 0)), min(end, piece.end.get(partition, 0))
            if first >= last:
                continue
            if first > at:
                changes.append((int(partition), at, None))
            changes.append((int(partition), first, piece.versions))
            at = last
        if at < end:
            changes.append((int(partition), at, None))
    return changes


def judged_anew(entry: Entry, recorded: Sequence[Range]) -> int:
    """How many of a micro-batch's records the earlier ledger does not know."""
    return _records(entry.start, entry.end) - sum(
        _records(
            {p: max(entry.start.get(p, 0), piece.start.get(p, 0)) for p in entry.end},
            {p: min(end, piece.end.get(p, 0)) for p, end in entry.end.items()},
        )
        for piece in recorded
    )


def _records(start: Offsets, end: Offsets) -> int:
    return sum(max(0, last - start.get(partition, 0)) for partition, last in end.items())
