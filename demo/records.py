"""The parts of Kafka's records that the demo looks at; the rest of their JSON is skipped, unread."""

from datetime import datetime
from typing import Final

import msgspec

from ml.schema import Label, Reason


class WatchedScore(msgspec.Struct, gc=False):
    """What the live view needs of a `ml.schema.Score`."""

    transaction_id: str
    event_time: datetime
    customer_id: str
    amount: float
    partition: int
    offset: int
    kafka_time: int
    anomaly_score: float
    threshold: float
    is_anomaly: bool
    model_version: int
    currency: str | None = None
    merchant_category: str | None = None
    country: str | None = None
    reasons: list[Reason] = []


class Place(msgspec.Struct, gc=False):
    """Which transaction a score is of."""

    partition: int
    offset: int


Headers = dict[str, str | bytes | None] | list[tuple[str, str | bytes | None]] | None
"""Of a record, as confluent_kafka gives them."""

decode_score: Final = msgspec.json.Decoder(WatchedScore).decode
decode_place: Final = msgspec.json.Decoder(Place).decode
decode_label: Final = msgspec.json.Decoder(Label).decode


def place_of_dead_letter(headers: Headers) -> tuple[int, int]:
    """(partition, offset) of the transaction that a dead letter is of, from its headers."""
    said = dict(headers or {})
    return int(said["partition"] or ""), int(said["offset"] or "")
