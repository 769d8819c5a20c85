"""Counting the scores of a micro-batch: in the tasks by segment, block and bin, on the driver over all tasks."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Final, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa

from jobs.throughput import LATEST_MS
from ml.features import HOUR
from ml.schema import Reader, Version
from ml.segments import segment_ids_of
from ml.thresholds.counts import COUNT, counted, merged
from ml.thresholds.grid import Grid

ROWS: Final = "model_version long, latest long, block long, segment long, bin short, count long"
"""What a task returns: COUNT by version of the model, and the latest Kafka time (ms) among the scores of each version."""

_UNKNOWN: Final = -2
"""The bin of scores by a model whose grid the task was not given."""

_MOST_AHEAD: Final = HOUR
"""A score whose transaction's Kafka time is further ahead of its own does not count: a producer's clock is wrong."""


class _Score(msgspec.Struct, gc=False):
    """The part of `ml.schema.Score` that is counted. A Kafka time that no clock shows has no block of time to count in."""

    channel: str | None
    merchant_category: str | None
    kafka_time: Annotated[int, msgspec.Meta(ge=0, le=LATEST_MS)]
    anomaly_score: Annotated[float, msgspec.Meta(ge=0, le=1)]
    is_anomaly: bool
    model_version: Version


_reader: Final = Reader(_Score)


class Counted(NamedTuple):
    """Of the scores of one version of a model: (m,) COUNT, and their latest Kafka time (ms)."""

    counts: np.ndarray
    latest: int

    def __add__(self, other: object) -> "Counted":
        if not isinstance(other, Counted):
            return NotImplemented
        return Counted(merged([self.counts, other.counts]), max(self.latest, other.latest))


class ScoreCounts:
    """Counts scores in the tasks. grids: by version of the model; None where it has no reference, and so no tables."""

    def __init__(self, grids: Mapping[int, Grid | None]) -> None:
        self._grids = dict(grids)

    def count(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Tables of value (a score's JSON) and time (ms, the score's own in Kafka) → a table as `ROWS` says."""
        for batch in batches:
            scores: dict[int, list[_Score]] = {}
            read = _reader.read_all(batch["value"].to_pylist())  # what is no score is left out, as publish says
            times = batch["time"].to_numpy()[read.rows].tolist()
            for score, time in zip(read.records, times, strict=True):
                if score.kafka_time - time <= _MOST_AHEAD:
                    scores.setdefault(score.model_version, []).append(score)
            for version, of_version in scores.items():
                if version not in self._grids or self._grids[version] is not None:
                    yield _rows(version, _counted(of_version, self._grids.get(version)))


def _counted(scores: list[_Score], grid: Grid | None) -> Counted:
    time = np.array([score.kafka_time for score in scores], np.int64)
    segment = segment_ids_of([(score.channel, score.merchant_category) for score in scores])
    values = np.array([score.anomaly_score for score in scores], np.float64)
    is_alert = np.array([score.is_anomaly for score in scores], np.bool_)
    bins = np.full(len(scores), _UNKNOWN, np.int64) if grid is None else grid.bins(values)
    return Counted(counted(time, np.array(segment, np.uint64), bins, is_alert), int(time.max()))


def _rows(version: int, of_version: Counted) -> pa.RecordBatch:
    counts = of_version.counts
    columns = {
        "model_version": np.full(len(counts), version),
        "latest": np.full(len(counts), of_version.latest),
        "block": counts["block"],
        "segment": counts["segment"].astype(np.int64),
        "bin": counts["bin"],
        "count": counts["count"],
    }
    return pa.RecordBatch.from_pydict({name: pa.array(values) for name, values in columns.items()})


def added_up(rows: pa.Table) -> dict[int, Counted]:
    """What the tasks returned, by version of the model."""
    counts = np.empty(rows.num_rows, COUNT)
    for name in ("block", "bin", "count"):
        counts[name] = rows[name].to_numpy()
    counts["segment"] = rows["segment"].to_numpy().astype(np.uint64)
    version, latest = rows["model_version"].to_numpy(), rows["latest"].to_numpy()
    return {
        int(one): Counted(merged([counts[version == one]]), int(latest[version == one].max()))
        for one in np.unique(version)
    }


def unknown(found: Mapping[int, Counted]) -> list[int]:
    """The versions whose grid the tasks lacked, so that their scores have to be counted again."""
    return [version for version, of_version in found.items() if (of_version.counts["bin"] == _UNKNOWN).any()]
