"""The rows of the lake's two tables, made from the records of Kafka's topics; each table's columns are declared here."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, NamedTuple

import msgspec
import pyarrow as pa

from ml.schema import TRANSACTION_FIELDS, Digest, KafkaTime, Label, Offset, Partition, Reader, Transaction, Version

SCORES: Final = "scores"
LABELS: Final = "labels"
DRIFT_COUNTS: Final = "drift_counts"
DAY: Final = "day"
"""By which both tables are partitioned."""

JSON: Final = ("reasons", "named_features", "extras", "challenger", "champion")
"""Columns of `SCORE_ROW` that are JSON as it came, null where a score has none."""

_TIME: Final = pa.timestamp("us", tz="UTC")
_Columns = list[tuple[str, pa.DataType]]
_PLACE: Final[_Columns] = [("topic_id", pa.string()), ("partition", pa.int32()), ("offset", pa.int64())]
_OF_TRANSACTIONS: Final[dict[str, pa.DataType]] = {
    "event_time": _TIME,
    "amount": pa.float64(),
    "latitude": pa.float64(),
    "longitude": pa.float64(),
}

SCORE_ROW: Final = pa.schema(
    [
        (DAY, pa.date32()),
        *_PLACE,
        ("kafka_time", pa.int64()),
        *((name, _OF_TRANSACTIONS.get(name, pa.string())) for name in TRANSACTION_FIELDS),
        *((name, pa.bool_()) for name in ("late", "key_mismatch", "order_undefined")),
        ("anomaly_score", pa.float64()),
        ("is_anomaly", pa.bool_()),
        ("threshold", pa.float64()),
        ("model_name", pa.string()),
        ("model_version", pa.int32()),
        ("model_digest", pa.string()),
        ("threshold_version", pa.int32()),
        ("profile_version", pa.int32()),
        ("micro_batch", pa.int64()),
        ("scored_at", pa.int64()),
        ("feature_set", pa.string()),
        ("fold_version", pa.int32()),
        ("features", pa.list_(pa.float64())),
        ("profile_set", pa.string()),
        ("profile_features", pa.list_(pa.float64())),
        *((name, pa.string()) for name in (*JSON, "currency_version")),
        ("schema_version", pa.int32()),
    ]
)
"""A score. (topic_id, partition, offset): which record of `transactions` it is of; topic_id is "" where no ledger knows it.
Times in integers are milliseconds since the epoch."""

LABEL_ROW: Final = pa.schema(
    [
        (DAY, pa.date32()),
        *_PLACE,
        ("archived_at", pa.int64()),
        *((name, pa.string()) for name in ("transaction_id", "customer_id")),
        ("is_fraud", pa.bool_()),
        ("label_time", _TIME),
        *((name, pa.string()) for name in ("source", "scenario", "campaign")),
    ]
)
"""A label as it arrived. (topic_id, partition, offset): which record of `labels` it is; archived_at: ms since the epoch."""

_EARLIEST_DAYS: Final = 400
_LATEST_DAYS: Final = 2
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


_ABSENT: Final = msgspec.Raw(b"null")


class ArchivedScore(Transaction, gc=False, kw_only=True):
    """The part of a `ml.schema.Score` that is archived; what is JSON in the table stays as it came."""

    partition: Partition
    offset: Offset
    kafka_time: KafkaTime
    late: bool
    key_mismatch: bool
    anomaly_score: float
    is_anomaly: bool
    threshold: float
    model_name: str
    model_version: Version
    scored_at: int
    features: list[float]
    feature_set: str
    fold_version: Version
    schema_version: int
    order_undefined: bool = False
    model_digest: Digest = ""
    threshold_version: Version = 0
    profile_version: Version = 0
    micro_batch: int | None = None
    profile_set: str = ""
    profile_features: list[float] | None = None
    reasons: msgspec.Raw = _ABSENT
    named_features: msgspec.Raw = _ABSENT
    extras: msgspec.Raw = _ABSENT
    challenger: msgspec.Raw = _ABSENT
    champion: msgspec.Raw = _ABSENT
    currency_version: str = ""


_PLAIN: Final = tuple(name for name in SCORE_ROW.names if name not in (DAY, "topic_id", *JSON))
_LABEL_FIELDS: Final = Label.__struct_fields__
_scores: Final = Reader(ArchivedScore)
_labels: Final = Reader(Label)


class Piece(NamedTuple):
    """What a ledger says of a topic: its records from `start` to before `end`, by partition, up to a micro-batch."""

    topic_id: str
    last_micro_batch: int
    start: dict[str, int]
    end: dict[str, int]

    def holds(self, partition: int, offset: int, micro_batch: int | None) -> bool:
        """Whether a record may be of this piece."""
        name = str(partition)
        early = micro_batch is None or micro_batch <= self.last_micro_batch
        return early and self.start.get(name, 0) <= offset < self.end.get(name, 0)


@dataclass(frozen=True)
class ScoreRows:
    """Scores' JSON → rows of the table. pieces: of the ledger, in their order."""

    pieces: Sequence[Piece]

    def read(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Tables of value and time (ms, at which Kafka took the score in) → `SCORE_ROW`. What is no score is left out."""
        for batch in batches:
            read = _scores.read_all(batch["value"].to_pylist())
            came = batch["time"].to_numpy()[read.rows].tolist()
            columns: dict[str, list[Any]] = {name: [getattr(score, name) for score in read.records] for name in _PLAIN}
            for name in JSON:
                columns[name] = [_text(getattr(score, name)) for score in read.records]
            columns[DAY] = [day_of(s.kafka_time, at) for s, at in zip(read.records, came, strict=True)]
            columns["topic_id"] = [self.topic_id(s.partition, s.offset, s.micro_batch) for s in read.records]
            yield pa.RecordBatch.from_pydict(columns, SCORE_ROW)

    def topic_id(self, partition: int, offset: int, micro_batch: int | None) -> str:
        """Of the topic that a record was on; "" where the ledger does not know it."""
        held = (piece.topic_id for piece in self.pieces if piece.holds(partition, offset, micro_batch))
        return next(held, "")


@dataclass(frozen=True)
class LabelRows:
    """Labels' JSON → rows of the table. topic_id: of their topic; archived_at: ms since the epoch."""

    topic_id: str
    archived_at: int

    def read(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Tables of partition, offset and value → `LABEL_ROW`. What is no label is left out."""
        for batch in batches:
            read = _labels.read_all(batch["value"].to_pylist())
            columns: dict[str, list[Any]] = {
                name: [getattr(label, name) for label in read.records] for name in _LABEL_FIELDS
            }
            for name in ("partition", "offset"):
                columns[name] = batch[name].to_numpy()[read.rows].tolist()
            columns["topic_id"] = [self.topic_id] * len(read.records)
            columns["archived_at"] = [self.archived_at] * len(read.records)
            columns[DAY] = [_EPOCH.date() + timedelta(milliseconds=self.archived_at)] * len(read.records)
            yield pa.RecordBatch.from_pydict(columns, LABEL_ROW)


def day_of(kafka_time: int, came: int) -> date:
    """The day (UTC) that a transaction is filed under, of its Kafka time; a producer may set any, so one that is more than 400
    days before or 2 days after its score came (both ms since the epoch) counts as that of the score.

    >>> day_of(1_700_000_000_000, 1_700_000_100_000), day_of(-1, 1_700_000_100_000)
    (datetime.date(2023, 11, 14), datetime.date(2023, 11, 14))
    """
    ahead = (kafka_time - came) / 86_400_000
    at = kafka_time if -_EARLIEST_DAYS <= ahead <= _LATEST_DAYS else came
    return (_EPOCH + timedelta(milliseconds=at)).date()


def _text(raw: msgspec.Raw) -> str | None:
    text = bytes(raw).decode()
    return None if text in ("null", "[]") else text
