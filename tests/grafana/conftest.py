"""An InfluxDB database that publish's own code has filled with scores, alerts and throughput of the last minutes."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from jobs.publish_points import Publication
from jobs.throughput import Arrived, Tally, Throughput
from ml.schema import Reason, Score
from sinks.influxdb import InfluxDBSink
from stack.local import Stack
from tests.detection.scores import FORM
from tests.grafana.queries import Span

DATABASE: Final = "scoreline_grafana"
PARTITIONS: Final = 4
MICRO_BATCHES: Final = 60
SECONDS: Final = 5
ROWS: Final = 200

CATEGORIES: Final = ("groceries", "travel", "fuel", "food/drink (all) | more")
CHANNELS: Final = ("chip", "online", None)
COUNTRIES: Final = ("DE", "FR", None)


@dataclass(frozen=True)
class Filled:
    """Where the points are, the time range that they lie in, and the scores that they were made of."""

    url: str
    database: str
    span: Span
    scores: list[Score]


@pytest.fixture(scope="session")
def filled(stack: Stack) -> Iterator[Filled]:
    bucket = stack.influxdb.create_database(DATABASE)
    end = time.time_ns() // 1_000_000
    begin = end - (MICRO_BATCHES + 1) * SECONDS * 1000
    sink = InfluxDBSink(stack.influxdb.url, bucket, "scoreline")
    throughput, scores = Throughput(), []
    for number in range(MICRO_BATCHES):
        batch = _scores(np.random.default_rng(number), number, begin + number * SECONDS * 1000)
        scores += batch
        tally = _published(sink, batch)
        arrived = {0: (number + 1) * ROWS + 7} | dict.fromkeys(range(1, PARTITIONS), (number + 1) * ROWS)
        with sink:
            sink.write(throughput.point(tally, number, Arrived(arrived, arrived)))
    yield Filled(stack.influxdb.url, DATABASE, Span(begin, end), scores)
    stack.influxdb.drop_database(DATABASE)


def _scores(random: np.random.Generator, micro_batch: int, begin: int) -> list[Score]:
    """One micro-batch of scores; the model changes half-way, and about one in fifty is an anomaly."""
    offset = micro_batch * ROWS
    times = begin + np.sort(random.integers(0, SECONDS * 1000, ROWS))
    return [
        _score(offset + row, int(times[row]), float(score), 1 + (micro_batch >= MICRO_BATCHES // 2), random)
        for row, score in enumerate(random.beta(9, 11, ROWS))
    ]


def _score(offset: int, kafka_time: int, anomaly_score: float, version: int, random: np.random.Generator) -> Score:
    return Score(
        **FORM
        | {
            "transaction_id": f"t{offset}",
            "event_time": datetime.fromtimestamp(kafka_time / 1000, UTC),
            "customer_id": f"c{offset % 97}",
            "amount": float(random.lognormal(3, 1)),
            "merchant_category": CATEGORIES[offset % len(CATEGORIES)],
            "channel": CHANNELS[random.integers(len(CHANNELS))],
            "country": COUNTRIES[random.integers(len(COUNTRIES))],
            "partition": offset % PARTITIONS,
            "offset": offset,
            "kafka_time": kafka_time,
            "late": offset % 31 == 0,
            "key_mismatch": False,
            "micro_batch": 0,
            "features": [],
            "model_name": "scoreline",
            "anomaly_score": anomaly_score,
            "threshold": 0.65,
            "is_anomaly": anomaly_score > 0.65,
            "model_version": version,
            "scored_at": kafka_time + 400,
            "reasons": [Reason("amount_z", 12.3, -1.2, 3.4)],
        }
    )


def _published(sink: InfluxDBSink, scores: list[Score]) -> Tally:
    """Write a micro-batch as a task of publish does, with one dead letter in it; returns the tally."""
    encoded: list[bytes | None] = [msgspec.json.encode(score) for score in scores]
    rows = len(scores) + 1
    columns: dict[str, Any] = {
        "value": pa.array([*encoded, None], pa.binary()),
        "dead": pa.array([False] * len(scores) + [True]),
        "reason": pa.array([None] * len(scores) + ["the value is empty"]),
        "kafka_time": pa.array([*(score.scored_at for score in scores), scores[-1].scored_at], pa.int64()),
        "place": pa.array(["scores/0/0"] * rows),
        "input_partition": pa.array([None] * len(scores) + [0], pa.int32()),
        "input_offset": pa.array([None] * len(scores) + [scores[-1].offset], pa.int64()),
    }
    [answer] = Publication(sink).publish(iter([pa.record_batch(columns)]))
    return msgspec.msgpack.decode(answer["tally"][0].as_py(), type=Tally)
