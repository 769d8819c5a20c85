"""Counting the scores of a micro-batch for profiles, in the tasks; and its labels, of each source the last."""

from collections.abc import Iterator
from typing import Final, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detection.message_parsing import hours_ahead
from jobs.seen import CHUNK, Seen
from ml.features import FEATURE_SET, FEATURES
from ml.features.events import hash_id, milliseconds
from ml.features.profile_counts import added_up, blocks_of, transaction_counts
from ml.features.profiles import COUNTS
from ml.label_rule import source_number, verdict_number
from ml.schema import Identifier, KafkaTime, Label, Offset, Partition, Reader, SchemaVersion, Time

ROWS: Final = "part string, content binary"
"""What a task returns: its parts by name, each the bytes of an array, or figures in msgpack."""

ENTRY: Final = np.dtype([("transaction", "u8"), ("merchant", "u8"), ("category", "u8"), ("block", "i8")])
"""A transaction that a label may name: hashes of ids, 0 where unknown, and the block of its event time."""

LABEL: Final = np.dtype(
    [("transaction", "u8"), ("source", "u1"), ("verdict", "u1"), ("partition", "i4"), ("offset", "i8")]
)
"""What a label says; source and verdict are numbers of `ml.label_rule`. partition, offset: where it is in its topic."""


_MOST_AHEAD_HOURS: Final = 1.0
"""A score whose transaction's Kafka time is further ahead of its own does not count: a producer's clock is wrong."""


class Figures(msgspec.Struct):
    """Of a micro-batch: scores and labels that were read; records that are neither; scores that were counted before.

    latest: by partition of transactions the latest Kafka time (ms). again: partitions of a topic that was made again.
    """

    scores: int = 0
    labels: int = 0
    foreign: int = 0
    repeated: int = 0
    example: str | None = None
    latest: dict[int, int] = {}
    again: list[int] = []


class _Score(msgspec.Struct, gc=False):
    """The part of `ml.schema.Score` that is counted."""

    transaction_id: Identifier
    event_time: Time
    partition: Partition
    offset: Offset
    kafka_time: KafkaTime
    features: list[float]
    feature_set: str
    merchant_id: str | None = None
    merchant_category: str | None = None
    schema_version: SchemaVersion = 1


_scores: Final = Reader(_Score)
_labels: Final = Reader(Label)


class Counted(NamedTuple):
    """Of the records of a micro-batch: counts (c,) COUNTS; entries (n,) ENTRY, by transaction; labels (m,) LABEL, of each
    transaction and source the last; seen: the scores that are in the counts."""

    counts: np.ndarray
    entries: np.ndarray
    labels: np.ndarray
    seen: Seen
    figures: Figures


class Span(NamedTuple):
    """How times become blocks. block_seconds: length of a block. max_future_hours: so far ahead of its transaction's Kafka
    time the job believes an event time."""

    block_seconds: int
    max_future_hours: float


class Counting:
    """Counts in a task. seen: what was counted before, packed. topics: of scores and of labels.

    A score is left out whose transaction is dated further ahead than the job believes, or was sent more than an hour later
    than the score: the job writes neither, and the first would move the table's block, for good.
    """

    def __init__(self, topics: tuple[str, str], span: Span, seen: bytes) -> None:
        self._topics = topics
        self._span = span
        self._seen = seen

    def count(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Tables of topic, partition, offset, time (its own Kafka time, ms), value → a table as `ROWS` says."""
        before, found = Seen.unpacked(self._seen), Seen()
        figures, parts = Figures(), _Parts()
        for batch in batches:
            scores, labels = (batch.filter(pc.equal(batch["topic"], pa.scalar(topic))) for topic in self._topics)
            self._count_scores(scores, before, found, figures, parts)
            self._take_labels(labels, figures, parts)
        figures.latest = found.latest
        content = {
            "counts": added_up(np.zeros(0, COUNTS), *parts.counts).tobytes(),
            "entries": by_transaction(joined(ENTRY, parts.entries)).tobytes(),
            "labels": last_of_each(joined(LABEL, parts.labels)).tobytes(),
            "chunks": found.chunks().tobytes(),
            "figures": msgspec.msgpack.encode(figures),
        }
        yield pa.RecordBatch.from_pydict(
            {"part": pa.array(list(content)), "content": pa.array(list(content.values()), pa.binary())}
        )

    def _count_scores(
        self, batch: pa.RecordBatch, before: Seen, found: Seen, figures: Figures, parts: "_Parts"
    ) -> None:
        read = _scores.read_all(batch["value"].to_pylist())
        ours = [_is_ours(score) for score in read.records]
        arrived = batch["time"].to_numpy()[read.rows][ours]
        scores = [score for score, is_ours in zip(read.records, ours, strict=True) if is_ours]
        kafka_time = np.array([score.kafka_time for score in scores], np.int64)
        time = np.array([milliseconds(score.event_time) for score in scores], np.int64)
        timely = np.flatnonzero(
            (hours_ahead(time, kafka_time) <= self._span.max_future_hours)
            & (hours_ahead(kafka_time, arrived) <= _MOST_AHEAD_HOURS)
        )
        _note_foreign(figures, batch.num_rows - len(timely), read.unreadable)
        if not len(timely):
            return
        scores, time = [scores[row] for row in timely.tolist()], time[timely]
        new, again = found.mark(
            np.array([score.partition for score in scores], np.int64),
            np.array([score.offset for score in scores], np.int64),
            kafka_time[timely],
            before,
        )
        figures.again = sorted({*figures.again, *again})
        figures.scores += len(scores)
        figures.repeated += len(scores) - int(new.sum())
        scores, time = [scores[row] for row in np.flatnonzero(new).tolist()], time[new]
        if not scores:
            return
        entries = np.empty(len(scores), ENTRY)
        entries["transaction"] = [hash_id(score.transaction_id) for score in scores]
        entries["merchant"] = [hash_id(score.merchant_id) for score in scores]
        entries["category"] = [hash_id(score.merchant_category) for score in scores]
        entries["block"] = block = blocks_of(time, self._span.block_seconds)
        features = np.array([score.features for score in scores], np.float64)
        parts.entries.append(entries)
        parts.counts.append(transaction_counts(entries["merchant"], entries["category"], block, features))

    def _take_labels(self, batch: pa.RecordBatch, figures: Figures, parts: "_Parts") -> None:
        read = _labels.read_all(batch["value"].to_pylist())
        _note_foreign(figures, len(read.unreadable), read.unreadable)
        if not read.records:
            return
        labels = np.empty(len(read.records), LABEL)
        labels["transaction"] = [hash_id(label.transaction_id) for label in read.records]
        labels["source"] = [source_number(label.source) for label in read.records]
        labels["verdict"] = [verdict_number(label.is_fraud) for label in read.records]
        for name in ("partition", "offset"):
            labels[name] = batch[name].to_numpy()[read.rows]
        figures.labels += len(labels)
        parts.labels.append(last_of_each(labels))


class _Parts:
    """What the batches of a task have given so far."""

    def __init__(self) -> None:
        self.counts: list[np.ndarray] = []
        self.entries: list[np.ndarray] = []
        self.labels: list[np.ndarray] = []


def _is_ours(score: _Score) -> bool:
    return score.feature_set == FEATURE_SET and len(score.features) == len(FEATURES)


def _note_foreign(figures: Figures, count: int, unreadable: dict[int, str]) -> None:
    figures.foreign += count
    figures.example = figures.example or next(
        iter(unreadable.values()), "another feature set, or dated ahead" if count else None
    )


def joined(kind: "np.dtype[np.void]", parts: list[np.ndarray]) -> np.ndarray:
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
        latest |= {p: max(time, latest.get(p, time)) for p, time in each.latest.items()}
    together = Figures(
        sum(each.scores for each in figures),
        sum(each.labels for each in figures),
        sum(each.foreign for each in figures),
        sum(each.repeated for each in figures),
        next((each.example for each in figures if each.example), None),
        latest,
        sorted({partition for each in figures for partition in each.again}),
    )
    seen = Seen()
    twice = sum(seen.take_in(np.frombuffer(content, CHUNK), {}) for content in parts.get("chunks", []))
    seen.latest = latest
    arrays = {
        name: joined(kind, [np.frombuffer(content, kind) for content in parts.get(name, [])])
        for name, kind in (("counts", COUNTS), ("entries", ENTRY), ("labels", LABEL))
    }
    return Counted(
        added_up(arrays["counts"]), by_transaction(arrays["entries"]), last_of_each(arrays["labels"]), seen, together
    ), twice
