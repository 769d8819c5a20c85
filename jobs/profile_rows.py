"""The rows that the profiles query counts of a micro-batch, and how what its tasks returned is added up."""

from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa

from ml.features.profile_counts import added_up
from ml.features.profiles import COUNTS

ROWS: Final = "part string, content binary"
"""What a task returns: its parts by name, each the bytes of an array, or figures in msgpack."""

ENTRY: Final = np.dtype([("transaction", "u8"), ("merchant", "u8"), ("category", "u8"), ("block", "i8")])
"""A transaction that a label may name: hashes of ids, 0 where unknown, and the block of its event time."""

LABEL: Final = np.dtype(
    [("transaction", "u8"), ("source", "u1"), ("verdict", "u1"), ("partition", "i4"), ("offset", "i8")]
)
"""What a label says; source and verdict are numbers of `ml.label_rule`. partition, offset: where it is in its topic."""


class Figures(msgspec.Struct):
    """Of a micro-batch: scores and labels that were read; records that are neither; scores that were counted before.

    latest: by partition of transactions the latest Kafka time (ms). again: partitions of a topic that seems to have been
    made again.
    """

    scores: int = 0
    labels: int = 0
    foreign: int = 0
    repeated: int = 0
    example: str | None = None
    latest: dict[int, int] = {}
    again: list[int] = []


class Counted(NamedTuple):
    """Of the records of a micro-batch: counts (c,) COUNTS; entries (n,) ENTRY, by transaction; labels (m,) LABEL, of each
    transaction and source the last; positions: of the scores that are in the counts, ascending."""

    counts: np.ndarray
    entries: np.ndarray
    labels: np.ndarray
    positions: np.ndarray
    figures: Figures


def joined(kind: "np.dtype[Any]", parts: list[np.ndarray]) -> np.ndarray:
    """The parts as one array of this kind."""
    return np.concatenate([np.zeros(0, kind), *parts])


def last_of_each(labels: np.ndarray) -> np.ndarray:
    """Of labels (m,) LABEL those that arrived last, of each transaction and source one; by transaction and source.

    Within a partition the offset is the order of arrival. Between partitions no order is defined, as of transactions.
    """
    ordered = labels[np.lexsort([labels[name] for name in ("offset", "partition", "source", "transaction")])]
    last = np.ones(len(ordered), np.bool_)
    last[:-1] = (ordered["transaction"][1:] != ordered["transaction"][:-1]) | (
        ordered["source"][1:] != ordered["source"][:-1]
    )
    return ordered[last]


def by_transaction(rows: np.ndarray) -> np.ndarray:
    """The rows in the order of their transactions' hashes."""
    return rows[np.argsort(rows["transaction"], kind="stable")]


def added(rows: pa.Table) -> tuple[Counted, int]:
    """What the tasks returned, together; and how many scores two of them counted."""
    parts: dict[str, list[bytes]] = {}
    for row in rows.to_pylist():
        parts.setdefault(row["part"], []).append(row["content"])
    figures = [msgspec.msgpack.decode(each, type=Figures) for each in parts.get("figures", [])]
    latest: dict[int, int] = {}
    for each in figures:
        latest = later(latest, each.latest)
    together = Figures(
        sum(each.scores for each in figures),
        sum(each.labels for each in figures),
        sum(each.foreign for each in figures),
        sum(each.repeated for each in figures),
        next((each.example for each in figures if each.example), None),
        latest,
        sorted({partition for each in figures for partition in each.again}),
    )
    positions = joined(np.dtype(np.int64), [np.frombuffer(content, np.int64) for content in parts.get("positions", [])])
    once = np.unique(positions)
    arrays = {
        name: joined(kind, [np.frombuffer(content, kind) for content in parts.get(name, [])])
        for name, kind in (("counts", COUNTS), ("entries", ENTRY), ("labels", LABEL))
    }
    return Counted(
        added_up(arrays["counts"]), by_transaction(arrays["entries"]), last_of_each(arrays["labels"]), once, together
    ), len(positions) - len(once)


def later(one: dict[int, int], other: dict[int, int]) -> dict[int, int]:
    """By partition the later of two times."""
    return one | {partition: max(time, one.get(partition, time)) for partition, time in other.items()}
