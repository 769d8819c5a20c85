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

from grafana.asking import Query, Span
from jobs.publish_points import Publication
from jobs.score_sums import BINS, added_up, lines_of
from jobs.throughput import Arrived, Tally, Throughput
from lake.drift_report import drift_points
from lake.live_quality import Row
from lake.quality_report import quality_points
from ml.drift.alarms import Alarm, Look
from ml.drift.findings import Finding
from ml.evaluation.estimates import Estimate
from ml.quality.estimates import Quality
from ml.schema import Reason, Score
from sinks.influxdb import InfluxDBSink
from stack.local import Stack
from tests.detection.scores import FORM

DATABASE: Final = "scoreline_grafana"
PARTITIONS: Final = 4
MICRO_BATCHES: Final = 60
SECONDS: Final = 5
ROWS: Final = 200

CATEGORIES: Final = ("groceries", "travel", "fuel", "food/drink (all) | more")
CHANNELS: Final = ("chip", "online", None)
EACH_BIN: Final = tuple((number + 0.5) / BINS for number in range(BINS))
CURRENCIES: Final = ("EUR", "USD")
COUNTRIES: Final = ("DE", "FR", None)


@dataclass(frozen=True)
class Filled:
    """Where the points are, the time range that they lie in, and the scores that they were made of."""

    url: str
    database: str
    span: Span
    scores: list[Score]

    def range_of(self, query: Query) -> Span:
        """What a query is asked for: quality has a point a day, at its beginning."""
        return Span(self.span.begin - 86_400_000, self.span.end) if query.board == "model-quality" else self.span


@pytest.fixture(scope="session")
def filled(stack: Stack) -> Iterator[Filled]:
    bucket = stack.influxdb.create_database(DATABASE)
    end = time.time_ns() // 1_000_000
    begin = (end - (MICRO_BATCHES + 1) * SECONDS * 1000) // 1000 * 1000  # sums are of whole seconds
    sink = InfluxDBSink(stack.influxdb.url, bucket, "scoreline")
    throughput, scores = Throughput(), []
    for number in range(MICRO_BATCHES):
        batch = _scores(np.random.default_rng(number), number, begin + number * SECONDS * 1000)
        scores += batch
        tally = _published(sink, batch)
        sums = added_up(tally.sums)
        assert sums is not None
        arrived = {0: (number + 1) * ROWS + 7} | dict.fromkeys(range(1, PARTITIONS), (number + 1) * ROWS)
        with sink:
            for lines in lines_of(sums, number):
                sink.write(lines)
            sink.write(throughput.point(tally, number, Arrived(arrived, arrived)))
    with sink:
        sink.write(quality_points([_quality(end, version) for version in (1, 2)]))
        sink.write(drift_points(_drift(end), "scoreline", 2))
    yield Filled(stack.influxdb.url, DATABASE, Span(begin, end), scores)
    stack.influxdb.drop_database(DATABASE)


def _quality(end: int, version: int) -> Row:
    """Of today, so that it lies in the time range only if that begins before midnight."""
    known = Estimate(0.5, 0.4, 0.6)
    figures = Quality(1_000, 20, 0.7, 9, 8, 0.4, 0.9, known, known, known, known, 900.0, 100.0, known, known, 5, 1)
    return Row("scoreline", version, f"{datetime.fromtimestamp(end / 1000, UTC):%Y-%m-%d}", figures)


def _drift(end: int) -> Look:
    found = [
        Finding("short", "training", what, end - 600_000, end, 700, 9_000, psi, 0.1, 0.2, ratio, rise, 1e-9, True)
        for what, psi, ratio, rise in (
            ("anomaly_score", 0.31, None, None),
            ("amount_z", 0.2, None, None),
            ("alerts", None, 2.5, None),
            ("no country", None, None, 0.1),
        )
    ]
    return Look(tuple(found), (Alarm(found[0], end),))


def _scores(random: np.random.Generator, micro_batch: int, begin: int) -> list[Score]:
    """One micro-batch of scores; the model changes half-way, and about one in fifty is an anomaly."""
    offset = micro_batch * ROWS
    times = begin + np.sort(random.integers(0, SECONDS * 1000, ROWS))
    return [
        _score(offset + row, int(times[row]), float(score), 1 + (micro_batch >= MICRO_BATCHES // 2), random)
        for row, score in enumerate(
            [*EACH_BIN, *random.beta(9, 11, ROWS)][:ROWS] if micro_batch == 0 else random.beta(9, 11, ROWS)
        )
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
            "currency": CURRENCIES[offset % len(CURRENCIES)],
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
