"""A lake whose scores and labels are written in bulk, as the archive would."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
from deltalake import write_deltalake

from lake.place import Place
from lake.rows import DAY, LABEL_ROW, LABELS, SCORE_ROW, SCORES
from ml.features import DAY as DAY_MS
from ml.features import FEATURE_SET, FEATURES

START = datetime(2026, 3, 2, tzinfo=UTC)
START_MS = int(START.timestamp() * 1000)


def write_scores(place: Place, time: np.ndarray, features: np.ndarray, **columns: Any) -> None:
    """Scores of n transactions at times (n,) ms since START; columns: what differs from an honest payment that passes."""
    n, at = len(time), START_MS + time
    made: dict[str, Any] = {
        DAY: [START.date()] * n,
        "topic_id": ["T"] * n,
        "partition": np.zeros(n, np.int32),
        "offset": np.arange(n),
        "kafka_time": at,
        "event_time": pa.array(at * 1000).cast(pa.timestamp("us", "UTC")),
        "transaction_id": [f"T{number}" for number in range(n)],
        "customer_id": [f"C{number % 97}" for number in range(n)],
        "amount": np.expm1(features[:, 0]),
        "merchant_category": ["food"] * n,
        "channel": ["chip"] * n,
        "country": ["FR"] * n,
        "device_id": ["D1"] * n,
        "late": np.zeros(n, np.bool_),
        "anomaly_score": np.full(n, 0.3),
        "is_anomaly": np.zeros(n, np.bool_),
        "threshold": np.full(n, 0.6),
        "model_name": ["scoreline"] * n,
        "model_version": np.ones(n, np.int32),
        "feature_set": [FEATURE_SET] * n,
        "features": features.tolist(),
        **columns,
    }
    _append(place, SCORES, SCORE_ROW, made, n)


def write_labels(place: Place, transaction: np.ndarray, time: np.ndarray, source: list[str], is_fraud: Any) -> None:
    """Labels (m,) of transactions by number, which became known at times (m,) ms since START, in the order of their arrival."""
    m, at = len(time), START_MS + time
    made = {
        DAY: [date.today()] * m,
        "topic_id": ["L"] * m,
        "partition": np.zeros(m, np.int32),
        "offset": np.arange(m),
        "archived_at": at,
        "transaction_id": [f"T{number}" for number in transaction],
        "customer_id": [f"C{number % 97}" for number in transaction],
        "is_fraud": is_fraud,
        "label_time": pa.array(at * 1000).cast(pa.timestamp("us", "UTC")),
        "source": source,
    }
    _append(place, LABELS, LABEL_ROW, made, m)


def _append(place: Place, table: str, schema: pa.Schema, made: dict[str, Any], n: int) -> None:
    columns = [
        pa.array(made[field.name]).cast(field.type) if field.name in made else pa.nulls(n, field.type)
        for field in schema
    ]
    write_deltalake(place.table(table), pa.Table.from_arrays(columns, schema=schema), mode="append", partition_by=[DAY])


def some_features(n: int, seed: int) -> np.ndarray:
    """(n, len(FEATURES)), not negative, so that the first is a log amount."""
    return np.abs(np.random.default_rng(seed).normal(size=(n, len(FEATURES))))


def day_of(days: float) -> datetime:
    """A time so many days after START."""
    return START + timedelta(milliseconds=round(days * DAY_MS))
