"""One judged transaction as the page shows it, whether it is from the live feed or from the lake."""

from datetime import datetime

import msgspec

from ml.schema import Identifier, SchemaVersion


class Payment(msgspec.Struct, frozen=True, gc=False):
    """What `scores` and the lake both have of a transaction. kafka_time: ms since the epoch."""

    schema_version: SchemaVersion
    transaction_id: Identifier
    customer_id: Identifier
    event_time: datetime
    amount: float
    partition: int
    offset: int
    kafka_time: int
    anomaly_score: float
    threshold: float
    is_anomaly: bool
    model_version: int
    currency: str | None = None
    merchant_id: str | None = None
    merchant_category: str | None = None
    country: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    channel: str | None = None
    device_id: str | None = None
