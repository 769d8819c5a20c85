"""What publish reads of a score, and the columns that it makes of many."""

from collections.abc import Sequence
from operator import attrgetter
from typing import Final

import msgspec
import pyarrow as pa

from jobs.tallying import Columns
from ml.schema import Identifier, KafkaTime, Offset, Partition, Reader, Reason, SchemaVersion, Version


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


READER: Final = Reader(PublishedScore)
COUNTED: Final = (
    *("partition", "offset", "kafka_time", "late", "anomaly_score", "is_anomaly", "model_version", "currency_unknown"),
    *("amount", "merchant_category", "channel", "country", "currency"),
)
"""What is looked at of every score; the rest, of those that become points."""

_TYPES: Final = {
    "currency": pa.string(),
    "merchant_category": pa.string(),
    "channel": pa.string(),
    "country": pa.string(),
}
OF_POINTS: Final = ("transaction_id", "customer_id", "threshold", "merchant_id")


def columns_of(scores: Sequence[PublishedScore], names: Sequence[str]) -> Columns:
    """The fields of scores (n,) by name."""
    return {name: pa.array([*map(attrgetter(name), scores)], _TYPES.get(name)) for name in names}
