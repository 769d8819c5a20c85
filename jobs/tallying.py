"""Arrow batches of scores and dead letters → their tallies. Runs in Spark's Python workers."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypedDict

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jobs.amounts import amounts
from jobs.dead_letter_kinds import kind_of
from jobs.tag_values import Values
from jobs.throughput import LATEST_MS, MOST_HELD, Held, Tally

Columns = dict[str, "pa.Array[Any]"]
"""By name, all with the same number of rows."""


def left_out(record: pa.RecordBatch, why: str) -> Tally:
    """Of a record that is no score, or can't be a point."""
    example = f"at partition {record['partition'][0]}, offset {record['offset'][0]}: {why}"
    return Tally(unreadable=1, example=example)


class Takes(Protocol):
    """What `jobs.tag_values.TagValues` offers."""

    @property
    def known(self) -> Values: ...
    def take(self, found: Mapping[str, Iterable[str]]) -> bool: ...


def written(
    values: Takes,
    by_tasks: Callable[[Values, Values | None], Tally],
    by_driver: Callable[[Sequence[Held], Values], Tally],
) -> Tally:
    """Write a micro-batch, each score once: those with texts that are no tags' values yet as soon as these are.

    by_tasks: writes all that can be written by the known values, and was not by those of the attempt before. by_driver:
    writes a few scores that were held.
    """
    known = values.known
    whole = rest = by_tasks(known, None)
    while values.take(rest.found):
        before, known = known, values.known
        few = rest.undecided == len(rest.held)
        rest = by_driver(rest.held, known) if few else by_tasks(known, before)
        whole.sums += rest.sums
    return whole


def held(records: pa.RecordBatch) -> Tally:
    """Of scores that are not written yet, by their records."""
    if not records.num_rows:
        return Tally()
    some = records.slice(0, MOST_HELD)
    columns = [some[name].to_pylist() for name in ("value", "kafka_time", "partition", "offset")]
    return Tally(undecided=records.num_rows, held=list(zip(*columns, strict=True)))


def of_held(some: Sequence[Held]) -> pa.RecordBatch:
    """Such scores as `jobs.publish_points.Publication.publish` takes them in."""
    values, kafka_times, partitions, offsets = zip(*some, strict=True)
    columns: Columns = {
        "value": pa.array(values, pa.binary()),
        "dead": pa.array(np.zeros(len(some), np.bool_)),
        "reason": pa.nulls(len(some), pa.string()),
        "kafka_time": pa.array(kafka_times, pa.int64()),
        "partition": pa.array(partitions, pa.int32()),
        "offset": pa.array(offsets, pa.int64()),
        "input_partition": pa.nulls(len(some), pa.int32()),
        "input_offset": pa.nulls(len(some), pa.int64()),
    }
    return pa.record_batch(columns)


def tally_of_times(batch: pa.RecordBatch) -> Tally:
    """Of records (n,): the first and the last of their Kafka times."""
    if not batch.num_rows:
        return Tally()
    times = np.clip(batch["kafka_time"].to_numpy(), 0, LATEST_MS)
    return Tally(first_time=int(times.min()), last_time=int(times.max()))


def tally_of_dead(dead: pa.RecordBatch) -> Tally:
    """Of dead letters (n,), and of which transactions they are."""
    if not dead.num_rows:
        return Tally()
    partition, offset = dead["input_partition"].fill_null(-1).to_numpy(), dead["input_offset"].fill_null(-1).to_numpy()
    known = (partition >= 0) & (offset >= 0)
    kinds = Counter(map(kind_of, dead["reason"].to_pylist()))
    return Tally(invalid=dead.num_rows, dead=dict(kinds), **_reach(partition[known], offset[known]))


def tally_of_scores(scores: Columns, kafka_time: np.ndarray) -> Tally:
    """`kafka_time` (n,) int64: of the records on the scores topic. A transaction without a Kafka time has no latency."""
    sent = scores["kafka_time"].to_numpy()
    timed = (sent >= 0) & (sent <= LATEST_MS)
    latency, counts = np.unique(np.clip(kafka_time, 0, LATEST_MS)[timed] - sent[timed], return_counts=True)
    return Tally(
        scored=len(kafka_time),
        late=_number_true(scores["late"]),
        anomalies=_number_true(scores["is_anomaly"]),
        currency_unknown=_number_true(scores["currency_unknown"]),
        model_version=pc.max(scores["model_version"]).as_py(),
        latency=dict(zip(latency.tolist(), counts.tolist(), strict=True)),
        amounts=amounts(scores["currency"], scores["amount"], scores["is_anomaly"]),
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
