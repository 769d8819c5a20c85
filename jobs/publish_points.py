"""Scores and dead letters, as Arrow batches → points in a sink, and a tally of them. Runs in Spark's Python workers."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final, Literal

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jobs.point_places import draw, placed
from jobs.tag_values import MOST, OTHER, Values, bounded, said
from jobs.tallying import Columns, held, left_out, tally_of_dead, tally_of_scores, tally_of_times
from jobs.throughput import Tally
from ml.explanation import all_in_words
from ml.schema import Identifier, KafkaTime, Offset, Partition, Reader, Reason, SchemaVersion, Version
from sinks.line_protocol import points
from sinks.sink import PointsRefused, Sink

SCORE: Final = "transaction_score"
ALERT: Final = "alert"

POINTS_A_REQUEST: Final = 10_000
BYTES_A_REQUEST: Final = 16 << 20
"""Of the scores' JSON. Ordinary ones come to less; InfluxDB refuses a request of more than 25 MB."""

_MOST_REFUSED: Final = 100
"""So many records of a task may be refused one by one; with more the cause is not the records, and the query fails."""

TALLY: Final = "tally binary"
"""What a task returns: one row, its `Tally` in MessagePack."""

SCORE_TAGS: Final = ("merchant_category", "channel", "partition", "lap")
SCORE_FIELDS: Final = (
    *("anomaly_score", "threshold", "is_anomaly"),
    *("amount", "transaction_id", "customer_id", "merchant_id", "country"),
)
"""Each field costs the database about 0.8 µs of CPU a point; what else a score says is on the topic."""

_ALERT_TAGS: Final = ("country", "merchant_category", "channel", "partition", "lap")
_ALERT_FIELDS: Final = (
    "transaction_id",
    "customer_id",
    "amount",
    "anomaly_score",
    "threshold",
    "reasons",
    "model_version",
)


class PublishedScore(msgspec.Struct, gc=False):
    """The part of a `ml.schema.Score` that is published, alike in all its versions; the rest of its JSON is skipped."""

    transaction_id: Identifier
    customer_id: Identifier
    amount: float
    partition: Partition
    offset: Offset
    kafka_time: KafkaTime
    late: bool
    anomaly_score: float
    threshold: float
    is_anomaly: bool
    model_version: Version
    merchant_id: str | None = None
    merchant_category: str | None = None
    country: str | None = None
    channel: str | None = None
    currency: str | None = None
    currency_unknown: bool = False
    reasons: list[Reason] = []
    refused_extras: dict[str, str] | None = None
    schema_version: SchemaVersion = 1


_reader: Final = Reader(PublishedScore)
_NO_COLUMNS: Final = ("reasons", "refused_extras", "schema_version")
_COLUMNS: Final = tuple(name for name in PublishedScore.__struct_fields__ if name not in _NO_COLUMNS)


@dataclass(frozen=True)
class Publication:
    """How scores become points: where to, and which of them.

    known: the values that tags may have, see `TagValues`; None: any. What says another text is "other" where its tag is full;
    where there is room it is not written but held, and the text is reported (`Tally.found`), to be taken up before it is.
    written: those of an attempt before, by which all that could be written was; it is not written again.
    """

    sink: Sink
    points: Literal["all", "sampled", "anomalies"] = "all"
    share: float = 0.0
    known: Values | None = None
    written: Values | None = None

    def publish(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """A task of `mapInArrow`: writes the points of its records, then returns their `TALLY`.

        Columns that come in: value (a score's JSON; null for a dead letter), dead (is it one?) and reason (why), this
        record's kafka_time (ms), partition and offset, and of a dead letter's transaction input_partition and input_offset.
        A record that is no score, or that can't be a point, is left out and counted. Raises what the sink raises otherwise:
        the task fails, and with it the query.
        """
        tally, refusals = Tally(), itertools.count(1)
        with self.sink as sink:
            for batch in batches:
                for piece in requests(batch):
                    tally += self._publish(sink, piece, refusals)
        yield pa.record_batch({"tally": pa.array([msgspec.msgpack.encode(tally)], pa.binary())})

    def _publish(self, sink: Sink, batch: pa.RecordBatch, refusals: Iterator[int]) -> Tally:
        dead = batch.filter(batch["dead"])
        alive = batch.filter(pc.invert(batch["dead"]))
        read = _reader.read_all(alive["value"].to_pylist())
        tally = tally_of_times(batch) + tally_of_dead(dead)
        for row, why in itertools.islice(read.unreadable.items(), 1):
            tally += left_out(alive.slice(row, 1), why)
        tally.unreadable = len(read.unreadable)
        scored = alive.take(pa.array(read.rows, pa.int64())) if read.unreadable else alive
        return tally + self._write(sink, read.records, scored, refusals)

    def _write(
        self, sink: Sink, scores: Sequence[PublishedScore], records: pa.RecordBatch, refusals: Iterator[int]
    ) -> Tally:
        """Write the scores (n,) of records (n,). What fails is tried in halves, until the one at fault is found."""
        if not scores:
            return Tally()
        try:
            columns: Columns = {name: pa.array([*map(attrgetter(name), scores)]) for name in _COLUMNS}
            lines, found, undecided = self._lines(columns, [score.reasons for score in scores if score.is_anomaly])
            tally = tally_of_scores(columns, records["kafka_time"].to_numpy()) + held(records.filter(undecided))
            tally.found = found
            tally.extras_refused = sum(score.refused_extras is not None for score in scores)
        except Exception as error:  # noqa: BLE001  # our own bugs too: a record costs itself, and no other
            why = f"it can't be a point: {error!r}"
        else:
            try:
                sink.write(lines)
                return tally
            except PointsRefused as refused:
                if len(scores) == 1 and next(refusals) > _MOST_REFUSED:
                    raise
                why = str(refused)
        if len(scores) == 1:
            return left_out(records, why)
        half = len(scores) // 2
        return self._write(sink, scores[:half], records.slice(0, half), refusals) + self._write(
            sink, scores[half:], records.slice(half), refusals
        )

    def _lines(
        self, scores: Columns, reasons: Sequence[Sequence[Reason]]
    ) -> tuple[bytes, dict[str, list[str]], pa.BooleanArray]:
        """(line protocol of the scores that are written one by one, and of the alerts; by tag the texts that may become
        values; which scores wait for that); `reasons`: one entry an anomaly."""
        tags, decided, found = self._tags(scores, self.known)
        wanted = self._chosen(scores)
        undecided = pc.and_(pc.or_(wanted, scores["is_anomaly"]), pc.invert(decided))
        if self.written is not None:
            decided = pc.and_(decided, pc.invert(self._tags(scores, self.written)[1]))
        columns = scores | placed(scores)
        tags |= {name: columns[name].cast(pa.string()) for name in ("partition", "lap")}
        chosen = pc.and_(wanted, decided)
        lines = _points(SCORE, SCORE_TAGS, SCORE_FIELDS, _rows(tags, chosen), _rows(columns, chosen))
        if reasons:
            in_words = pa.array(map(all_in_words, reasons), pa.string()).filter(decided.filter(scores["is_anomaly"]))
            alerted = pc.and_(scores["is_anomaly"], decided)
            alerts = _rows(columns, alerted) | {"reasons": in_words}
            lines += _points(ALERT, _ALERT_TAGS, _ALERT_FIELDS, _rows(tags, alerted), alerts)
        return lines, found, undecided

    def _tags(self, scores: Columns, known: Values | None) -> tuple[Columns, pa.BooleanArray, dict[str, list[str]]]:
        """(the tags' values, of which rows all are decided, by tag the texts that may become values)."""
        decided = pa.array(np.ones(len(scores["offset"]), bool))
        if known is None:
            return {name: said(scores[name]) for name in MOST}, decided, {}
        tags: Columns = {}
        found: dict[str, list[str]] = {}
        for name in MOST:
            # Of scores that are no alerts the country is no tag.
            texts = pc.if_else(scores["is_anomaly"], scores[name], None) if name == "country" else scores[name]
            tags[name], fresh = bounded(name, texts, known)
            if fresh:
                found[name] = fresh
                decided = pc.and_(decided, pc.invert(pc.equal(tags[name], pa.scalar(OTHER))))
        return tags, decided, found

    def _chosen(self, scores: Columns) -> "pa.Array[Any]":
        if self.points == "all":
            return pa.array(np.ones(len(scores["offset"]), bool))
        if self.points == "anomalies":
            return scores["is_anomaly"]
        drawn = draw(scores["partition"].to_numpy(), scores["offset"].to_numpy()) < self.share
        return pc.or_(scores["is_anomaly"], pa.array(drawn))


def _rows(columns: Columns, chosen: "pa.Array[Any]") -> Columns:
    return {name: column.filter(chosen) for name, column in columns.items()}


def _points(measurement: str, names: Sequence[str], fields: Sequence[str], tags: Columns, columns: Columns) -> bytes:
    return points(
        measurement,
        {name: tags[name] for name in names},
        {name: columns[name] for name in fields},
        columns["time_ns"],
    )


def requests(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """A batch in pieces of at most POINTS_A_REQUEST records and, if it is not a single one, BYTES_A_REQUEST of values."""
    if batch.num_rows <= POINTS_A_REQUEST and batch["value"].nbytes <= BYTES_A_REQUEST:
        yield from [batch] if batch.num_rows else []
        return
    values: Any = batch["value"]
    ends = np.cumsum(pc.fill_null(pc.binary_length(values), 0).to_numpy().astype(np.int64))
    start, before = 0, 0
    while start < batch.num_rows:
        by_bytes = int(np.searchsorted(ends, before + BYTES_A_REQUEST, "right"))
        end = min(max(by_bytes, start + 1), start + POINTS_A_REQUEST, batch.num_rows)
        yield batch.slice(start, end - start)
        start, before = end, int(ends[end - 1])
