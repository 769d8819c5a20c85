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


decode_score: Final = msgspec.json.Decoder(WatchedScore).decode
decode_place: Final = msgspec.json.Decoder(Place).decode
decode_label: Final = msgspec.json.Decoder(Label).decode


def place_of_dead_letter(headers: list[tuple[str, bytes | None]] | None) -> tuple[int, int]:
    """(partition, offset) of the transaction that a dead letter is of, from its headers."""
    said = {name: value for name, value in headers or [] if value is not None}
    return int(said["partition"]), int(said["offset"])
