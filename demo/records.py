"""The parts of Kafka's records that the demo looks at; the rest of their JSON is skipped, unread."""

from typing import Final

import msgspec

from messaging.headers import Headers
from ml.schema import (
    Identifier,
    KafkaTime,
    Label,
    Offset,
    Partition,
    Reader,
    Reason,
    SchemaVersion,
    Time,
    Unreadable,
    Version,
)


class WatchedScore(msgspec.Struct, gc=False):
    """What the live view needs of a `ml.schema.Score`, the job's or an early alert's, alike in all its versions."""

    transaction_id: Identifier
    event_time: Time
    customer_id: Identifier
    amount: float
    partition: Partition
    offset: Offset
    kafka_time: KafkaTime
    anomaly_score: float
    threshold: float
    is_anomaly: bool
    model_version: Version
    currency: str | None = None
    merchant_category: str | None = None
    country: str | None = None
    reasons: list[Reason] = []
    schema_version: SchemaVersion = 1


class Place(msgspec.Struct, gc=False):
    """Which transaction a score is of."""

    partition: Partition
    offset: Offset
    schema_version: SchemaVersion = 1


decode_score: Final = Reader(WatchedScore).read
decode_place: Final = Reader(Place).read
decode_label: Final = Reader(Label).read
"""Each raises `ml.schema.Unreadable` for a foreign record."""


def place_of_dead_letter(headers: Headers | None) -> tuple[int, int]:
    """(partition, offset) of the transaction that a dead letter is of, from its headers. Raises `Unreadable`."""
    said = dict(headers or {})
    try:
        partition, offset = int(said["partition"] or ""), int(said["offset"] or "")
    except (KeyError, ValueError) as error:
        raise Unreadable(f"not a dead letter of ours: {error!r}") from None
    if not (0 <= partition < 2**15 and 0 <= offset < 2**48):
        raise Unreadable(f"not a dead letter of ours: partition {partition}, offset {offset}")
    return partition, offset
