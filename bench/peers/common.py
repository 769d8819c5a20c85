"""What the peers share, so that they differ in nothing but the way in which they process a stream."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import joblib
import numpy as np
import pandas as pd
from influxdb_client import InfluxDBClient, Point

ORGANISATION = "scoreline"
TAGS = ("merchant_category", "channel")
FIELDS = (
    *("anomaly_score", "threshold", "amount", "is_anomaly"),
    *("transaction_id", "customer_id", "merchant_id", "country", "partition", "offset"),
)
MOST_PARTITIONS = 64


@dataclass(frozen=True)
class Arguments:
    """A peer's command line: the standard library reads it, since each peer's environment has as little as it needs."""

    bootstrap_servers: str
    transactions: str
    scores: str
    alerts: str
    influxdb_url: str
    influxdb_bucket: str
    influxdb_token: str
    model: Path
    checkpoint: Path

    @classmethod
    def from_command_line(cls, description: str) -> Self:
        parser = argparse.ArgumentParser(description=description)
        for name in cls.__dataclass_fields__:
            kind = Path if name in ("model", "checkpoint") else str
            parser.add_argument(f"--{name.replace('_', '-')}", type=kind, required=True)
        return cls(**vars(parser.parse_args()))

    def influxdb(self) -> InfluxDBClient:
        return InfluxDBClient(self.influxdb_url, self.influxdb_token, org=ORGANISATION)


@dataclass(frozen=True)
class Model:
    """A fitted Isolation Forest, its threshold, and the names of its features."""

    pipeline: Any
    threshold: float
    features: list[str]

    @classmethod
    def load(cls, path: Path) -> Self:
        return cls(**joblib.load(path))

    def anomaly_scores(self, features: Sequence[Sequence[float]]) -> np.ndarray:
        """(n, features) → (n,), higher is stranger."""
        return -self.pipeline.score_samples(pd.DataFrame(features, columns=self.features))


def point(score: Mapping[str, Any]) -> Point:
    """A score as a point; within the input's millisecond, partition and offset give it a nanosecond of its own."""
    built = Point("transaction_score")
    for tag in TAGS:
        built.tag(tag, score[tag] or "unknown")
    for field in FIELDS:
        built.field(field, score[field])
    return built.time(point_time(score["kafka_time"], score["partition"], score["offset"]))


def point_time(kafka_time: int, partition: int, offset: int) -> int:
    """Nanoseconds since the epoch; distinct for 15,625 offsets of each partition in one millisecond.

    >>> point_time(1_700_000_000_000, 3, 1)
    1700000000000000067
    """
    return kafka_time * 1_000_000 + (offset * MOST_PARTITIONS + partition) % 1_000_000
