"""Scores for the page's tests: real ones of release 0.1 in today's form, and ones with any ids."""

from datetime import UTC, datetime
from typing import Any

import msgspec

from detection.score_json import read
from ml.features import FEATURES
from ml.schema import Reason, Score
from tests.detection.scores import FORM
from tests.detection.test_score_json import OLD

RECORDED = [score for score in map(read, OLD.read_bytes().splitlines()) if score.is_anomaly]
"""Alerts as a job has judged them."""

REASONS = [
    Reason("amount_ratio", 40.0, 0.1, 6.0),
    Reason("new_device", 1.0, 0.0, 0.0),
    Reason("count_1h", 9.0, 0.0, 2.0),
]


def score(number: int, **changes: Any) -> Score:
    """An alert of a place of its own."""
    plain: dict[str, Any] = {
        "transaction_id": f"t{number}",
        "event_time": datetime(2026, 3, 1, 12, 0, number % 60, tzinfo=UTC),
        "customer_id": f"c{number}",
        "amount": 100.0 + number,
        "currency": "EUR",
        "merchant_id": f"m{number % 7}",
        "merchant_category": "electronics",
        "country": "FR",
        "latitude": 48.8,
        "longitude": 2.3,
        "channel": "online",
        "device_id": f"d{number}",
        "partition": number % 4,
        "offset": number,
        "kafka_time": 1_772_366_400_000 + number,
        "late": False,
        "key_mismatch": False,
        "features": [0.0] * len(FEATURES),
        "anomaly_score": 0.7,
        "is_anomaly": True,
        "threshold": 0.6,
        "model_name": "scoreline",
        "model_version": 3,
        "micro_batch": 1,
        "scored_at": 1_772_366_400_500 + number,
        "reasons": REASONS,
        "named_features": {"new_device": 1.0},
    }
    return Score(**(FORM | {"feature_set": "of a test"} | plain | changes))


def encoded(*scores: Score) -> list[bytes]:
    """Their JSON."""
    return [msgspec.json.encode(one) for one in scores]
