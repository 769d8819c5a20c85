"""Scores and dead letters, as Arrow batches → points in a sink, and a tally of them. Runs in Spark's Python workers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Final, Literal

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jobs.throughput import Tally
from ml.explanation import all_in_words
from ml.schema import Reason
from sinks.line_protocol import points
from sinks.sink import Sink

SCORE: Final = "transaction_score"
ALERT: Final = "alert"

POINTS_A_REQUEST: Final = 10_000

TALLY: Final = "tally binary"
"""What a task returns: one row, its `Tally` in MessagePack."""

SCORE_TAGS: Final = ("merchant_category", "channel")
SCORE_FIELDS: Final = (
    *("anomaly_score", "threshold", "is_anomaly"),
    *("amount", "transaction_id", "customer_id", "merchant_id", "country"),
)
"""Each field costs the database about 0.8 µs of CPU a point; what else a score says stands in the topic and the lake."""

_ALERT_TAGS: Final = ("country", "merchant_category", "channel")
_ALERT_FIELDS: Final = (
    "transaction_id",
    "customer_id",
    "amount",
    "anomaly_score",
    "threshold",
    "reasons",
    "model_version",
)

Columns = dict[str, pa.Array]


class PublishedScore(msgspec.Struct, gc=False):
    """The part of a `ml.schema.Score` that is published; the rest of its JSON is skipped."""

    transaction_id: str
    customer_id: str
    amount: float
    partition: int
    offset: int
    kafka_time: int
    late: bool
    anomaly_score: float
    threshold: float
    is_anomaly: bool
    model_version: int
    merchant_id: str | None = None
    merchant_category: str | None = None
    country: str | None = None
    channel: str | None = None
    reasons: list[Reason] = []


_decode: Final = msgspec.json.Decoder(PublishedScore).decode
_COLUMNS: Final = tuple(name for name in PublishedScore.__struct_fields__ if name != "reasons")


@dataclass(frozen=True)
class Publication:
    """How scores become points: where to, which of them, and the transactions topic's partition count."""

    sink: Sink
    partitions: int
    points: Literal["all", "sampled", "anomalies"] = "all"
    share: float = 0.0

    def publish(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """A task of `mapInArrow`: writes the points of its records, then returns their `TALLY`.

        Columns that come in: value (a score's JSON; null for a dead letter), dead (is it one?), this record's kafka_time
        (ms), partition and offset, and of a dead letter's transaction input_partition and input_offset. Raises what the
        sink raises: the task fails, and with it the query.
        """
        tally = Tally()
        with self.sink as sink:
            for batch in batches:
                for start in range(0, batch.num_rows, POINTS_A_REQUEST):
                    tally += self._publish(sink, batch.slice(start, POINTS_A_REQUEST))
        yield pa.record_batch({"tally": pa.array([msgspec.msgpack.encode(tally)], pa.binary())})

    def _publish(self, sink: Sink, batch: pa.RecordBatch) -> Tally:
        dead = batch.filter(batch["dead"])
        alive = batch.filter(pc.invert(batch["dead"]))
        decoded, readable, example = _decoded(alive)
        tally = _tally_of_times(batch) + _tally_of_dead(dead)
        tally.unreadable, tally.example = alive.num_rows - len(decoded), example
        if decoded:
            scores = {name: pa.array(map(attrgetter(name), decoded)) for name in _COLUMNS}
            sink.write(self._lines(scores, [score.reasons for score in decoded if score.is_anomaly]))
            tally += _tally_of_scores(scores, alive["kafka_time"].to_numpy()[readable])
        return tally

    def _lines(self, scores: Columns, reasons: Sequence[Sequence[Reason]]) -> bytes:
        """Line protocol of the scores that are written one by one, and of the alerts; `reasons`: one entry an anomaly."""
        columns = scores | {"time_ns": point_times(scores, self.partitions)}
        lines = _points(SCORE, SCORE_TAGS, SCORE_FIELDS, _rows(columns, self._chosen(scores)))
        if reasons:
            told = pa.array(map(all_in_words, reasons), pa.string())
            alerts = _rows(columns, scores["is_anomaly"]) | {"reasons": told}
            lines += _points(ALERT, _ALERT_TAGS, _ALERT_FIELDS, alerts)
        return lines

    def _chosen(self, scores: Columns) -> pa.Array:
        if self.points == "all":
            return pa.array(np.ones(len(scores["offset"]), bool))
        if self.points == "anomalies":
            return scores["is_anomaly"]
        drawn = draw(scores["partition"].to_numpy(), scores["offset"].to_numpy()) < self.share
        return pc.or_(scores["is_anomaly"], pa.array(drawn))


def _rows(columns: Columns, chosen: pa.Array) -> Columns:
    return {name: column.filter(chosen) for name, column in columns.items()}


def _points(measurement: str, tags: Sequence[str], fields: Sequence[str], columns: Columns) -> bytes:
    return points(
        measurement,
        {name: _known(columns[name]) for name in tags},
        {name: columns[name] for name in fields},
        columns["time_ns"],
    )


def point_times(scores: Columns, partitions: int) -> pa.Array:
    """A score's point in time in ns: its input's Kafka time, and within that millisecond a place of its own.

    Up to a million transactions that share a millisecond stay distinct, and a retry finds the same place.
    """
    place = scores["offset"].to_numpy() * partitions + scores["partition"].to_numpy()
    return pa.array(scores["kafka_time"].to_numpy() * 1_000_000 + place % 1_000_000)


def draw(partition: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """A number in [0, 1) for each record, (n,) float64, from nothing but its place: the same at each retry.

    The finalizer of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
    """
    x = offset.astype(np.uint64) ^ (partition.astype(np.uint64) << np.uint64(48))
    x = (x + np.uint64(0x9E3779B97F4A7C15)).astype(np.uint64)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (x ^ (x >> np.uint64(31))).astype(np.float64) / 2.0**64


def _known(values: pa.Array) -> pa.Array:
    """A tag's values, "unknown" for null and for an empty one: a point without a tag would be missing from its panel."""
    text = values.cast(pa.string())
    return pc.if_else(pc.fill_null(pc.equal(text, ""), True), "unknown", text)


def _decoded(scores: pa.RecordBatch) -> tuple[list[PublishedScore], np.ndarray, str | None]:
    """(scores, which rows they are of, what is wrong with the first of the other rows)."""
    values = scores["value"].to_pylist()
    decoded, readable, example = [], np.zeros(len(values), bool), None
    try:
        return [_decode(value) for value in values], ~readable, None
    except (msgspec.DecodeError, TypeError):
        pass  # A record that is no score must not stop the panels of the others: find it, leave it out, and report it.
    for row, value in enumerate(values):
        try:
            decoded.append(_decode(b"" if value is None else value))
            readable[row] = True
        except msgspec.DecodeError as error:
            example = example or f"at partition {scores['partition'][row]}, offset {scores['offset'][row]}: {error}"
    return decoded, readable, example


def _tally_of_times(batch: pa.RecordBatch) -> Tally:
    span = pc.min_max(batch["kafka_time"])
    return Tally(first_time=span["min"].as_py(), last_time=span["max"].as_py())


def _tally_of_dead(dead: pa.RecordBatch) -> Tally:
    placed = dead.filter(pc.and_(dead["input_partition"].is_valid(), dead["input_offset"].is_valid()))
    first, following = _reach(placed["input_partition"].to_numpy(), placed["input_offset"].to_numpy())
    return Tally(invalid=dead.num_rows, first=first, next=following)


def _tally_of_scores(scores: Columns, kafka_time: np.ndarray) -> Tally:
    """`kafka_time` (n,) int64: of the records on the scores topic."""
    latency, counts = np.unique(kafka_time - scores["kafka_time"].to_numpy(), return_counts=True)
    first, following = _reach(scores["partition"].to_numpy(), scores["offset"].to_numpy())
    return Tally(
        scored=len(kafka_time),
        late=scores["late"].true_count,
        anomalies=scores["is_anomaly"].true_count,
        model_version=pc.max(scores["model_version"]).as_py(),
        latency=dict(zip(latency.tolist(), counts.tolist(), strict=True)),
        first=first,
        next=following,
    )


def _reach(partition: np.ndarray, offset: np.ndarray) -> tuple[dict[int, int], dict[int, int]]:
    """By partition: the smallest offset, and the largest plus one."""
    found = {number: offset[partition == number] for number in np.unique(partition).tolist()}
    return {p: int(o.min()) for p, o in found.items()}, {p: int(o.max()) + 1 for p, o in found.items()}
