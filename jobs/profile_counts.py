"""Counting the scores of a micro-batch for profiles, in the tasks; and its labels, of each source the last."""

from collections.abc import Iterator
from typing import Final, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detection.message_parsing import hours_ahead
from jobs.profile_rows import ENTRY, LABEL, Figures, by_transaction, joined, last_of_each, later
from jobs.seen import Seen, latest_by
from ml.arrays import Flags, Ints
from ml.features import FEATURE_SET, FEATURES
from ml.features.events import hash_id, milliseconds
from ml.features.folding import position
from ml.features.profile_counts import added_up, blocks_of, transaction_counts
from ml.features.profiles import COUNTS
from ml.features.state_schema import OFFSET_BITS
from ml.label_rule import source_number, verdict_number
from ml.schema import Identifier, KafkaTime, Label, Offset, Partition, Reader, SchemaVersion, Time

_MOST_AHEAD_HOURS: Final = 1.0
"""A score whose transaction's Kafka time is further ahead of its own does not count: a producer's clock is wrong."""


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


_PLACE: Final = ("partition", "offset")
_scores: Final = Reader(_Score)
_labels: Final = Reader(Label)


class Span(NamedTuple):
    """How times become blocks. block_seconds: length of a block. max_future_hours: so far ahead of its transaction's Kafka
    time the job believes an event time. now: ms; that a record came later than now is not believed."""

    block_seconds: int
    max_future_hours: float
    now: int


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
        before, parts = Seen.unpacked(self._seen), _Parts()
        figures = Figures()
        for batch in batches:
            scores, labels = (batch.filter(pc.equal(batch["topic"], pa.scalar(topic))) for topic in self._topics)
            self._count_scores(scores, before, figures, parts)
            self._take_labels(labels, figures, parts)
        content = {
            "counts": added_up(np.zeros(0, COUNTS), *parts.counts).tobytes(),
            "entries": by_transaction(joined(ENTRY, parts.entries)).tobytes(),
            "labels": last_of_each(joined(LABEL, parts.labels)).tobytes(),
            "positions": parts.positions.tobytes(),
            "figures": msgspec.msgpack.encode(figures),
        }
        yield pa.RecordBatch.from_pydict(
            {"part": pa.array(list(content)), "content": pa.array(list(content.values()), pa.binary())}
        )

    def _count_scores(self, batch: pa.RecordBatch, before: Seen, figures: Figures, parts: "_Parts") -> None:
        read = _scores.read_all(batch["value"].to_pylist())
        ours = [_is_ours(score) for score in read.records]
        arrived = np.minimum(batch["time"].to_numpy()[read.rows][ours], self._span.now)
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
        kafka_time = kafka_time[timely]
        positions = position(*(np.array([getattr(score, name) for score in scores], np.int64) for name in _PLACE))
        known, again = before.again(positions, kafka_time)
        figures.again = sorted({*figures.again, *again})
        figures.latest = later(
            figures.latest, latest_by(positions >> OFFSET_BITS, np.minimum(kafka_time, self._span.now))
        )
        new = parts.first_of_each(positions, known)
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
        self.positions = np.zeros(0, np.int64)

    def first_of_each(self, positions: Ints, known: Flags) -> Flags:
        """Which records (n,) are neither known nor were given before, each position once; from here on they were."""
        places = np.minimum(np.searchsorted(self.positions, positions), max(0, len(self.positions) - 1))
        given = self.positions[places] == positions if len(self.positions) else np.zeros(len(positions), np.bool_)
        fresh = np.flatnonzero(~known & ~given)
        each, first = np.unique(positions[fresh], return_index=True)
        new = np.zeros(len(positions), np.bool_)
        new[fresh[first]] = True
        self.positions = np.insert(self.positions, np.searchsorted(self.positions, each), each)
        return new


def _is_ours(score: _Score) -> bool:
    return score.feature_set == FEATURE_SET and len(score.features) == len(FEATURES)


def _note_foreign(figures: Figures, count: int, unreadable: dict[int, str]) -> None:
    figures.foreign += count
    figures.example = figures.example or next(
        iter(unreadable.values()), "another feature set, or dated ahead" if count else None
    )
