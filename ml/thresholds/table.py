"""A table of thresholds: what a micro-batch takes up, and judges each segment's transactions by."""

from typing import Annotated, Self

import msgspec
import numpy as np
from msgspec import Meta

from ml.arrays import Floats, Ints
from ml.schema import Digest, KafkaTime, Version
from ml.segments import SegmentIds, places_among, segment_ids
from ml.thresholds.counts import ALERTS, BLOCK, BLOCKS_A_DAY
from ml.thresholds.making import BlockThresholds, thresholds_for
from ml.thresholds.reference import Reference

Threshold = Annotated[float, Meta(ge=0, le=1)]


class Table(msgspec.Struct, frozen=True):
    """Thresholds for the scores of one version of a model; JSON, some kilobytes.

    version: 1 and up; 0 means the model's own threshold. since, until: the Kafka times (ms) between which the scores
    that it was made from came. alarm: see `ml.thresholds.making.BlockThresholds`. default: for segments that are not listed.
    model_digest: which model it is for, as its scores say; the version is for people. The bounds hold for what is read
    from JSON.
    """

    version: Annotated[int, Meta(ge=1, lt=2**31)]
    model_version: Version
    since: KafkaTime
    until: KafkaTime
    alarm: Annotated[int, Meta(ge=0, le=2)]
    default: Threshold
    thresholds: dict[str, Threshold]
    model_digest: Digest = ""

    def same_thresholds(self, other: "Table | None") -> bool:
        """Whether it judges as another does, so that it need not be published."""
        return other is not None and (self.model_digest, self.default, self.thresholds) == (
            other.model_digest,
            other.default,
            other.thresholds,
        )


def table_at(time: int, counts: np.ndarray, reference: Reference, version: int, model_version: int) -> Table:
    """The table that holds from a Kafka time (ms) on, from counts (m,) COUNT of the model's scores until then."""
    block = time // BLOCK
    chosen = thresholds_for(block, counts, reference)
    alarm = int(chosen.alarm(*_under_way(counts[counts["block"] == block], chosen, reference)))
    grid = reference.grid.thresholds[chosen.by_alarm[alarm]].tolist()
    names = [segment.name for segment in reference.segments]
    since = (block - BLOCKS_A_DAY) * BLOCK
    return Table(version, model_version, since, time, alarm, grid[-1], dict(zip(names, grid, strict=False)))


def _under_way(counts: np.ndarray, chosen: BlockThresholds, reference: Reference) -> tuple[Ints, Ints]:
    """How many of the counted scores there are, and how many are over the level of their segment."""
    scores = counts[counts["bin"] != ALERTS]
    level = chosen.level[reference.places_of(scores["segment"])]
    return scores["count"].sum(), scores["count"][scores["bin"] > level].sum()


class Lookup(msgspec.Struct, frozen=True):
    """A table by the segments' numbers: ids (s,) ascending, thresholds (s + 1,), of which the last is the default."""

    ids: SegmentIds
    thresholds: Floats

    @classmethod
    def from_thresholds(cls, default: float, thresholds: dict[str, float]) -> Self:
        """From thresholds by the segments' names."""
        ids = segment_ids(list(thresholds))
        order = np.argsort(ids)
        return cls(ids[order], np.append(np.array(list(thresholds.values()), np.float64)[order], default))

    def of_segments(self, segments: SegmentIds) -> Floats:
        """(n,) the threshold of each segment (n,)."""
        return self.thresholds[places_among(self.ids, segments)]
