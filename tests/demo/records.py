"""Scores and labels for the demo's tests, made in one line."""

from datetime import UTC, datetime, timedelta
from typing import Any

from demo.records import WatchedScore
from ml.schema import Label, Reason

LIVE = datetime(2024, 6, 3, 8, tzinfo=UTC)
REASONS = [
    Reason("count_10m", 14.0, 0.0, 2.0),
    Reason("amount_z", 12.34, -1.2, 3.4),
    Reason("new_device", 1.0, 0.0, 0.0),
]


def score(
    offset: int, *, anomaly: bool = False, partition: int = 0, minutes: float = 0.0, **fields: Any
) -> WatchedScore:
    """A score of transaction t<offset> of customer c0000001."""
    known: dict[str, Any] = {
        "transaction_id": f"t{offset}",
        "event_time": LIVE + timedelta(minutes=minutes),
        "customer_id": "c0000001",
        "amount": 1234.5,
        "partition": partition,
        "offset": offset,
        "kafka_time": 1_000_000,
        "anomaly_score": 0.7 if anomaly else 0.4,
        "threshold": 0.6,
        "is_anomaly": anomaly,
        "model_version": 3,
        "currency": "EUR",
        "merchant_category": "gift_cards",
        "country": "FR",
        "reasons": REASONS if anomaly else [],
    }
    return WatchedScore(**(known | fields))


def truth(
    transaction_id: str, scenario: str = "card_testing", customer_id: str = "c0000001", is_fraud: bool = True
) -> Label:
    """The simulator's truth about one transaction."""
    return Label(transaction_id, customer_id, is_fraud, LIVE, "simulator", scenario)
