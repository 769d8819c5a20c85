"""Arrow batches of scores and dead letters → their tallies. Runs in Spark's Python workers."""

from typing import Any, TypedDict

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jobs.throughput import LATEST_MS, Tally

Columns = dict[str, "pa.Array[Any]"]
"""By name, all with the same number of rows."""


def left_out(record: pa.RecordBatch, why: str) -> Tally:
    """Of a record that is no score, or can't be a point."""
    example = f"at partition {record['partition'][0]}, offset {record['offset'][0]}: {why}"
    return Tally(unreadable=1, example=example)


def tally_of_times(batch: pa.RecordBatch) -> Tally:
    """Of records (n,): the first and the last of their Kafka times."""
    if not batch.num_rows:
        return Tally()
    times = np.clip(batch["kafka_time"].to_numpy(), 0, LATEST_MS)
    return Tally(first_time=int(times.min()), last_time=int(times.max()))


def tally_of_dead(dead: pa.RecordBatch) -> Tally:
    """Of dead letters (n,), and of which transactions they are."""
    partition, offset = dead["input_partition"].fill_null(-1).to_numpy(), dead["input_offset"].fill_null(-1).to_numpy()
    known = (partition >= 0) & (offset >= 0)
    return Tally(invalid=dead.num_rows, **_reach(partition[known], offset[known]))


def tally_of_scores(scores: Columns, kafka_time: np.ndarray) -> Tally:
    """`kafka_time` (n,) int64: of the records on the scores topic. A transaction without a Kafka time has no latency."""
    sent = scores["kafka_time"].to_numpy()
    timed = (sent >= 0) & (sent <= LATEST_MS)
    latency, counts = np.unique(np.clip(kafka_time, 0, LATEST_MS)[timed] - sent[timed], return_counts=True)
    return Tally(
        scored=len(kafka_time),
        late=_number_true(scores["late"]),
        anomalies=_number_true(scores["is_anomaly"]),
        model_version=pc.max(scores["model_version"]).as_py(),
        latency=dict(zip(latency.tolist(), counts.tolist(), strict=True)),
        **_reach(scores["partition"].to_numpy(), scores["offset"].to_numpy()),
    )


def _number_true(flags: Any) -> int:
    return int(flags.true_count)


class _Reach(TypedDict):
    """By partition: the smallest offset, the largest plus one, and how many records there are."""

    first: dict[int, int]
    next: dict[int, int]
    records: dict[int, int]


def _reach(partition: np.ndarray, offset: np.ndarray) -> _Reach:
    found = {number: offset[partition == number] for number in np.unique(partition).tolist()}
    return {
        "first": {number: int(offsets.min()) for number, offsets in found.items()},
        "next": {number: int(offsets.max()) + 1 for number, offsets in found.items()},
        "records": {number: len(offsets) for number, offsets in found.items()},
    }
