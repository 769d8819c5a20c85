"""A replay of a log that was judged before: each record by what the earlier ledger says, whatever the cut is now."""

import logging
from collections.abc import Callable, Sequence

import numpy as np
from pyspark.sql import SparkSession

from detection.ledger import Entry, Ledger, Versions
from detection.ranges import Cut, Range, cuts
from jobs.kept import Kept
from jobs.runtime.errors import Fatal
from jobs.runtime.storage import DurableFolder
from jobs.scoring import Judge
from ml.features import position
from ml.registry.model_store import ModelRefused, ModelStore

_log = logging.getLogger(__name__)


class Replay:
    """The judges of records that an earlier ledger knows."""

    def __init__(self, spark: SparkSession, checkpoint: str, registry: ModelStore) -> None:
        """Raises `Fatal` where the checkpoint has no ledger."""
        self._checkpoint = checkpoint
        self._ledger = Ledger(DurableFolder(spark, f"{checkpoint}/ledger", create=False))
        if not self._ledger.pieces():
            raise Fatal(
                f"--replay-of {checkpoint} has no ledger that this release can read: name the checkpoint of an earlier run of "
                "detect, or leave the flag out to judge all records anew"
            )
        self._recorded: dict[str, list[Range]] = {}
        self._kept = Kept(spark, checkpoint, registry, others=True)
        self._lost: set[Versions] = set()

    def judges(self, entry: Entry, anew: Judge) -> list[tuple[int, Judge]]:
        """Who judges from a position on, in the order of positions; `anew` where the ledger does not know, and that is told."""
        if entry.topic_id not in self._recorded:
            self._recorded[entry.topic_id] = self._ledger.pieces(entry.topic_id)
        found = cuts(entry, self._recorded[entry.topic_id])
        unknown = sum(end - start for _, start, end, known in found if known is None)
        if unknown:
            _log.warning("%d records are judged anew: the ledger of %s does not know them", unknown, self._checkpoint)
        return by_position(found, lambda known: anew if known is None else self._judge(known, anew))

    def _judge(self, known: Versions, anew: Judge) -> Judge:
        """What judged some records; `anew` where that is no longer kept, which is told once."""
        if known not in self._lost:
            try:
                return self._kept.judge(known)
            except (ModelRefused, LookupError) as error:
                _log.warning("what %s judged by is judged anew: %s", self._checkpoint, error)
                self._lost.add(known)
        return anew


def by_position(found: Sequence[Cut], judge: Callable[[Versions | None], Judge]) -> list[tuple[int, Judge]]:
    """Who judges from a position of the log on, in the order of positions."""
    return [(int(position(np.int64(p), np.int64(start))), judge(known)) for p, start, _, known in found] or [
        (0, judge(None))
    ]
