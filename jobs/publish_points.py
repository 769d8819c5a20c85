"""Scores and dead letters, as Arrow batches → points in a sink, and a tally of them. Runs in Spark's Python workers."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jobs.point_places import draw, placed
from jobs.points_mode import Points
from jobs.published_score import COUNTED, OF_POINTS, READER, PublishedScore, columns_of
from jobs.score_sums import merged, packed, summed
from jobs.tag_values import MOST, OTHER, Values, bounded, said
from jobs.tallying import Columns, held, left_out, tally_of_dead, tally_of_scores, tally_of_times
from jobs.throughput import Tally
from ml.explanation import all_in_words
from sinks.line_protocol import points
from sinks.sink import PointsRefused, Sink

SCORE: Final = "transaction_score"
ALERT: Final = "alert"

POINTS_A_REQUEST: Final = 10_000
BYTES_A_REQUEST: Final = 16 << 20
"""Of the scores' JSON. Ordinary ones come to less; InfluxDB refuses a request of more than 25 MB."""

_MOST_REFUSED: Final = 100
"""So many records of a task may be refused one by one; with more the cause is not the records, and the query fails."""

_PIECES: Final = 20

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


@dataclass(frozen=True)
class Publication:
    """How scores become points: where to, and which of them.

    known: the values that tags may have, see `TagValues`; None: any. What says another text is "other" where its tag is full;
    where there is room it is not written but held, and the text is reported (`Tally.found`), to be taken up before it is.
    written: those of an attempt before, by which all that could be written was; it is not written again.
    Whatever is written one by one, all scores are in the sums (`jobs.score_sums`), which the tally takes to the driver.
    """

    sink: Sink
    points: Points = "all"
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
        tally, refusals, sums = Tally(), itertools.count(1), Sums()
        with self.sink as sink:
            for batch in batches:
                for piece in requests(batch):
                    tally += self._publish(sink, piece, refusals, sums)
        tally.sums = sums.packed()
        yield pa.record_batch({"tally": pa.array([msgspec.msgpack.encode(tally)], pa.binary())})

    def _publish(self, sink: Sink, batch: pa.RecordBatch, refusals: Iterator[int], sums: "Sums") -> Tally:
        dead = batch.filter(batch["dead"])
        alive = batch.filter(pc.invert(batch["dead"]))
        read = READER.read_all(alive["value"].to_pylist())
        tally = tally_of_times(batch) + tally_of_dead(dead)
        for row, why in itertools.islice(read.unreadable.items(), 1):
            tally += left_out(alive.slice(row, 1), why)
        tally.unreadable = len(read.unreadable)
        scored = alive.take(pa.array(read.rows, pa.int64())) if read.unreadable else alive
        return tally + self._write(sink, read.records, scored, refusals, sums)

    def _write(
        self,
        sink: Sink,
        scores: Sequence[PublishedScore],
        records: pa.RecordBatch,
        refusals: Iterator[int],
        sums: "Sums",
    ) -> Tally:
        """Write the scores (n,) of records (n,). What fails is tried in halves, until the one at fault is found."""
        if not scores:
            return Tally()
        try:
            columns = columns_of(scores, COUNTED)
            lines, found, undecided, of_decided = self._lines(scores, columns)
            tally = tally_of_scores(columns, records["kafka_time"].to_numpy()) + held(records.filter(undecided))
            tally.found = found
            tally.extras_refused = len(scores) - [score.refused_extras for score in scores].count(None)
        except Exception as error:  # noqa: BLE001  # our own bugs too: a record costs itself, and no other
            why = f"it can't be a point: {error!r}"
        else:
            try:
                sink.write(lines)
                sums.add(of_decided)
                return tally
            except PointsRefused as refused:
                if len(scores) == 1 and next(refusals) > _MOST_REFUSED:
                    raise
                why = str(refused)
        if len(scores) == 1:
            return left_out(records, why)
        half = len(scores) // 2
        return self._write(sink, scores[:half], records.slice(0, half), refusals, sums) + self._write(
            sink, scores[half:], records.slice(half), refusals, sums
        )

    def _lines(
        self, scores: Sequence[PublishedScore], columns: Columns
    ) -> tuple[bytes, dict[str, list[str]], pa.BooleanArray, pa.Table]:
        """(line protocol of the scores that are written one by one, and of the alerts; by tag the texts that may become
        values; which scores wait for that; the sums of the others)."""
        tags, decided, found = self._tags(columns, self.known)
        undecided = pc.invert(decided)
        if self.written is not None:
            decided = pc.and_(decided, pc.invert(self._tags(columns, self.written)[1]))
        sums = summed(_rows(columns, decided), _rows(tags, decided))
        chosen = pc.and_(self._chosen(columns), decided)
        some = [scores[row] for row in np.flatnonzero(chosen.to_numpy(zero_copy_only=False)).tolist()]
        if not some:
            return b"", found, undecided, sums
        columns, tags = _rows(columns, chosen) | columns_of(some, OF_POINTS), _rows(tags, chosen)
        columns |= placed(columns)
        tags |= {name: columns[name].cast(pa.string()) for name in ("partition", "lap")}
        lines = _points(SCORE, SCORE_TAGS, SCORE_FIELDS, tags, columns)
        if alerts := [score for score in some if score.is_anomaly]:
            of_alerts = _rows(columns, columns["is_anomaly"])
            of_alerts["reasons"] = pa.array([all_in_words(score.reasons) for score in alerts], pa.string())
            lines += _points(ALERT, _ALERT_TAGS, _ALERT_FIELDS, _rows(tags, columns["is_anomaly"]), of_alerts)
        return lines, found, undecided, sums

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


class Sums:
    """The sums of a task."""

    def __init__(self) -> None:
        self._tables: list[pa.Table] = []

    def add(self, table: pa.Table) -> None:
        """Take in those of a piece; now and then the pieces become one, so that they stay few."""
        self._tables.append(table)
        if len(self._tables) > _PIECES:
            self._tables = [merged(self._tables)]

    def packed(self) -> list[bytes]:
        """For the driver: of one table, or none."""
        return [packed(merged(self._tables))] if self._tables else []


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
