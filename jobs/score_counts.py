"""Counting the scores of a micro-batch: in the tasks by segment, block and bin, on the driver over all tasks."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Final, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa

from jobs.throughput import LATEST_MS
from ml.features import HOUR
from ml.schema import Digest, Reader, SchemaVersion, Version
from ml.segments import segment_ids_of
from ml.thresholds.counts import COUNT, counted, merged
from ml.thresholds.grid import Grid

ROWS: Final = "model_digest string, model_version long, latest long, block long, segment long, bin short, count long"
"""What a task returns: COUNT by model, and the latest Kafka time (ms) among the scores of each, and its version."""

_UNKNOWN: Final = -2
"""The bin of scores by a model whose grid the task was not given."""

_MOST_AHEAD: Final = HOUR
"""A score whose transaction's Kafka time is further ahead of its own does not count: a producer's clock is wrong."""


class _Score(msgspec.Struct, gc=False):
    """The part of `ml.schema.Score` that is counted, alike in all its versions.

    A Kafka time outside any clock's range belongs to no block.
    """

    channel: str | None
    merchant_category: str | None
    kafka_time: Annotated[int, msgspec.Meta(ge=0, le=LATEST_MS)]
    anomaly_score: Annotated[float, msgspec.Meta(ge=0, le=1)]
    is_anomaly: bool
    model_version: Version
    model_digest: Digest = ""
    schema_version: SchemaVersion = 1


_reader: Final = Reader(_Score)


class Counted(NamedTuple):
    """Of the scores of one model: (m,) COUNT, their latest Kafka time (ms), and the version that people know it by."""

    counts: np.ndarray
    latest: int
    version: int = 0

    def __add__(self, other: object) -> "Counted":
        if not isinstance(other, Counted):
            return NotImplemented
        newest = max(self, other, key=lambda counted: counted.latest)
        return newest._replace(counts=merged([self.counts, other.counts]))


class ScoreCounts:
    """Counts scores in the tasks. grids: by digest of the model; None where it has no reference, and so no tables.

    A model is known by its digest, since another registry gives the same version to another model.
    """

    def __init__(self, grids: Mapping[str, Grid | None]) -> None:
        self._grids = dict(grids)

    def count(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Tables of value (a score's JSON) and time (ms, the score's own in Kafka) → a table as `ROWS` says."""
        for batch in batches:
            scores: dict[str, list[_Score]] = {}
            read = _reader.read_all(
                batch["value"].to_pylist()
            )  # what is not a score is left out, which publish reports
            times = batch["time"].to_numpy()[read.rows].tolist()
            for score, time in zip(read.records, times, strict=True):
                if score.kafka_time - time <= _MOST_AHEAD:
                    scores.setdefault(score.model_digest, []).append(score)
            for digest, of_model in scores.items():
                if digest not in self._grids or self._grids[digest] is not None:
                    yield _rows(digest, _counted(of_model, self._grids.get(digest)))


def _counted(scores: list[_Score], grid: Grid | None) -> Counted:
    time = np.array([score.kafka_time for score in scores], np.int64)
    segment = segment_ids_of([(score.channel, score.merchant_category) for score in scores])
    values = np.array([score.anomaly_score for score in scores], np.float64)
    is_alert = np.array([score.is_anomaly for score in scores], np.bool_)
    bins = np.full(len(scores), _UNKNOWN, np.int64) if grid is None else grid.bins(values)
    newest = int(time.argmax())
    counts = counted(time, np.array(segment, np.uint64), bins, is_alert)
    return Counted(counts, int(time[newest]), scores[newest].model_version)


def _rows(digest: str, of_model: Counted) -> pa.RecordBatch:
    counts = of_model.counts
    columns = {
        "model_digest": np.full(len(counts), digest, object),
        "model_version": np.full(len(counts), of_model.version),
        "latest": np.full(len(counts), of_model.latest),
        "block": counts["block"],
        "segment": counts["segment"].astype(np.int64),
        "bin": counts["bin"],
        "count": counts["count"],
    }
    return pa.RecordBatch.from_pydict({name: pa.array(values) for name, values in columns.items()})


def added_up(rows: pa.Table) -> dict[str, Counted]:
    """What the tasks returned, by digest of the model."""
    counts = np.empty(rows.num_rows, COUNT)
    for name in ("block", "bin", "count"):
        counts[name] = rows[name].to_numpy()
    counts["segment"] = rows["segment"].to_numpy().astype(np.uint64)
    digest = np.array(rows["model_digest"].to_pylist(), object)
    latest, version = rows["latest"].to_numpy(), rows["model_version"].to_numpy()
    found: dict[str, Counted] = {}
    for one in dict.fromkeys(digest.tolist()):
        mine = np.flatnonzero(digest == one)
        newest = mine[latest[mine].argmax()]
        found[one] = Counted(merged([counts[mine]]), int(latest[newest]), int(version[newest]))
    return found


def unknown(found: Mapping[str, Counted]) -> list[str]:
    """The models whose grid the tasks lacked, so that their scores have to be counted again."""
    return [digest for digest, of_model in found.items() if (of_model.counts["bin"] == _UNKNOWN).any()]
