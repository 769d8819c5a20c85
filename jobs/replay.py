"""A replay of a log that was judged before: each record by what the earlier ledger says, whatever the cut is now."""

import logging
from collections.abc import Callable, Sequence

import numpy as np
from pyspark.sql import SparkSession

from detection.errors import VersionUnavailable
from detection.ledger import Entry, Ledger, Versions
from detection.ranges import Cut, Range, cuts
from jobs.decisions import Sender, version_store
from jobs.declared_extras import check_replay
from jobs.runtime.errors import Fatal
from jobs.runtime.storage import DurableFolder
from jobs.scoring import SentDecision
from ml.features import position
from ml.features.declared import NOTHING, Declared
from ml.registry.model_store import ModelStore

_log = logging.getLogger(__name__)


class Replay:
    """The decisions on records that an earlier ledger knows."""

    def __init__(
        self, spark: SparkSession, checkpoint: str, registry: ModelStore, declared: Declared = NOTHING
    ) -> None:
        """Raises `Fatal` where the checkpoint has no ledger, or was judged with extras that are not declared here."""
        self._checkpoint = checkpoint
        self._ledger = Ledger(DurableFolder(spark, f"{checkpoint}/ledger", create=False))
        if not self._ledger.pieces():
            raise Fatal(
                f"--replay-of {checkpoint} has no ledger that this release can read: name the checkpoint of an earlier run of "
                "detect, or leave the flag out to judge all records again"
            )
        check_replay(declared, checkpoint, DurableFolder(spark, f"{checkpoint}/settings", create=False))
        self._recorded: dict[str, list[Range]] = {}
        self._sender = Sender(spark, version_store(spark, checkpoint, registry, others=True))
        self._lost: set[Versions] = set()

    def decisions(self, entry: Entry, own: SentDecision) -> list[tuple[int, SentDecision]]:
        """Who judges from a position on, in the order of positions; `own` where the ledger does not know, which is logged."""
        if entry.topic_id not in self._recorded:
            self._recorded[entry.topic_id] = self._ledger.pieces(entry.topic_id)
        found = cuts(entry, self._recorded[entry.topic_id])
        unknown = sum(end - start for _, start, end, known in found if known is None)
        if unknown:
            _log.warning("%d records are judged again: the ledger of %s does not know them", unknown, self._checkpoint)
        return by_position(found, lambda known: own if known is None else self._decision(known, own))

    def _decision(self, known: Versions, own: SentDecision) -> SentDecision:
        """What judged some records; `own` where that is no longer kept, which is logged once."""
        if known not in self._lost:
            try:
                return self._sender.sent(known)
            except VersionUnavailable as error:
                _log.warning("what %s judged by is judged again: %s", self._checkpoint, error)
                self._lost.add(known)
        return own


def by_position(
    found: Sequence[Cut], decision: Callable[[Versions | None], SentDecision]
) -> list[tuple[int, SentDecision]]:
    """Who judges from a position of the log on, in the order of positions."""
    starts = position(np.array([cut[0] for cut in found], np.int64), np.array([cut[1] for cut in found], np.int64))
    judges = [(int(start), decision(known)) for start, (_, _, _, known) in zip(starts, found, strict=True)]
    return judges or [(0, decision(None))]
