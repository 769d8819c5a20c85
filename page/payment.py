"""One judged transaction as the page shows it, whether it is from the live feed or from the lake."""

from typing import Annotated, Final

import msgspec
from msgspec import Meta
from msgspec.structs import force_setattr

from ml.schema import Identifier, KafkaTime, Offset, Partition, SchemaVersion, Time, Version
from page.store.alert import kept
from page.store.tables import LONGEST_ID

Latitude = Annotated[float, Meta(ge=-90, le=90)]
Longitude = Annotated[float, Meta(ge=-180, le=180)]


class Payment(msgspec.Struct, frozen=True, gc=False):
    """What `scores` and the lake both have of a transaction, texts of an absurd length cut. kafka_time: ms since the epoch."""

    schema_version: SchemaVersion
    transaction_id: Identifier
    customer_id: Identifier
    event_time: Time
    amount: float
    partition: Partition
    offset: Offset
    kafka_time: KafkaTime
    anomaly_score: float
    threshold: float
    is_anomaly: bool
    model_version: Version
    currency: str | None = None
    merchant_id: str | None = None
    merchant_category: str | None = None
    country: str | None = None
    latitude: Latitude | None = None
    longitude: Longitude | None = None
    channel: str | None = None
    device_id: str | None = None

    def __post_init__(self) -> None:
        """Many are kept in memory, and anybody may have written them."""
        for name in _TEXTS:
            text = getattr(self, name)
            if text is not None and len(text) > LONGEST_ID:
                force_setattr(self, name, kept(text))

    @property
    def characters(self) -> int:
        """How many it has in all, for what memory it takes."""
        return len(self.transaction_id) + len(self.customer_id) + sum(len(getattr(self, name) or "") for name in _TEXTS)


_TEXTS: Final = ("currency", "merchant_id", "merchant_category", "country", "channel", "device_id")
