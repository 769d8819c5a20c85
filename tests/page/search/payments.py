"""Transactions of the live feed for tests of the search."""

from datetime import UTC, datetime, timedelta
from typing import Any

from ml.schema import SCORE_SCHEMA
from page.payment import Payment

START = datetime(2026, 3, 2, tzinfo=UTC)


def payment(number: int, **changes: Any) -> Payment:
    """One that is no alert, so many seconds after `START`, at a place of its own."""
    plain: dict[str, Any] = {
        "schema_version": SCORE_SCHEMA,
        "transaction_id": f"T{number}",
        "customer_id": f"C{number % 7}",
        "event_time": START + timedelta(seconds=number),
        "amount": 10.0 + number,
        "partition": number % 4,
        "offset": number,
        "kafka_time": 1_772_409_600_000 + number,
        "anomaly_score": number % 100 / 100,
        "threshold": 0.95,
        "is_anomaly": number % 100 >= 95,
        "model_version": 3,
        "currency": "EUR",
        "merchant_id": f"M{number % 11}",
        "country": "FR",
        "channel": "online",
    }
    return Payment(**(plain | changes))
