"""Transactions for integration tests: made up from a seed, sent to Kafka, and judged the slow way for comparison."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain, repeat
from typing import Any

import msgspec
import numpy as np
from confluent_kafka import Producer
from kafka.consumer.fetcher import ConsumerRecord

from messaging.config import KafkaConfig
from ml import features
from ml.features.currencies import default_rates
from ml.features.events import events
from ml.model import Model
from ml.schema import Transaction
from settings import Settings
from tests.detection.scores import exact
from tests.support.kafka import read_topic
from torture.reference import Limits, Log, expected

START = datetime(2026, 3, 2, 8, tzinfo=UTC)
CATEGORIES = ("groceries", "fuel", "travel", None)
CHANNELS = ("chip", "contactless", "online", "atm")


def traffic(n: int, customers: int, seed: int, hot: int = 0) -> list[Transaction]:
    """n transactions within some days; `hot` customers have half of them. A few are late, a few lack optional fields."""
    rng = np.random.default_rng(seed)
    who = rng.integers(0, customers, n)
    if hot:
        who = np.where(rng.random(n) < 0.5, rng.integers(0, hot, n), who)
    seconds = np.sort(rng.uniform(0, 4 * 86_400, n)) - np.where(rng.random(n) < 0.02, 7_200, 0)
    amounts = np.round(rng.gamma(2, 30, n), 2)
    places = rng.normal(0, 0.2, (n, 2))
    choices = rng.integers(0, 1 << 30, (n, 3))
    return [
        Transaction(
            transaction_id=f"T{seed}-{i}",
            event_time=START + timedelta(milliseconds=int(seconds[i] * 1000)),
            customer_id=f"C{who[i]:05d}",
            amount=float(amounts[i]),
            currency="EUR",
            merchant_id=f"M{choices[i, 0] % 300}",
            merchant_category=CATEGORIES[choices[i, 1] % 4],
            country="FR" if choices[i, 2] % 50 else "BR",
            latitude=None if i % 17 == 0 else 48.8 + float(places[i, 0]),
            longitude=None if i % 17 == 0 else 2.3 + float(places[i, 1]),
            channel=CHANNELS[choices[i, 2] % 4],
            device_id=None if i % 5 else f"D{who[i]}",
        )
        for i in range(n)
    ]


def events_of(transactions: Sequence[Transaction]) -> np.ndarray:
    """(n,) EVENT, as of a history."""
    return events(transactions, np.full(len(transactions), features.HISTORY))


Message = tuple[bytes | None, bytes | None]


def messages(transactions: Iterable[Transaction]) -> list[Message]:
    """(key, value) as a producer sends them."""
    return [(t.customer_id.encode(), msgspec.json.encode(t)) for t in transactions]


def send(settings: Settings, sent: Iterable[Message], times: Iterable[int] = ()) -> None:
    """Send messages to the transactions topic, in their order, and wait until the broker has them all.

    times: their Kafka timestamps (ms); without, that of now.
    """
    failed: list[Any] = []
    producer = Producer(
        {
            **KafkaConfig.from_settings(settings).for_confluent(),
            "partitioner": "murmur2_random",
            "message.max.bytes": 8 << 20,
            "enable.idempotence": True,
            "linger.ms": 5,
        }
    )
    for (key, value), time in zip(sent, chain(times, repeat(0)), strict=False):
        producer.produce(
            settings.transactions_topic,
            value,
            key,
            timestamp=time,
            on_delivery=lambda error, _: failed.append(error) if error else None,
        )
        producer.poll(0)
    producer.flush(60)
    assert not failed


Place = tuple[int, int]


def judged(records: Sequence[ConsumerRecord], model: Model) -> dict[Place, dict[str, Any]]:
    """What scores must say of the records of `transactions`: the reference, with the whole log as one micro-batch."""
    places = np.array([(r.partition, r.offset, r.timestamp) for r in records], np.int64).reshape(-1, 3)
    log = Log(*places.T.copy(), [record.key for record in records], [record.value for record in records])
    one, versions = np.zeros(len(records), np.int64), np.full(len(records), model.version, np.int64)
    wanted = expected(log, one, versions, {model.version: model}, Limits(rates=default_rates()))
    return {
        wanted.place(row): {
            "features": wanted.features[row].tolist(),
            "late": bool(wanted.late[row]),
            "anomaly_score": float(wanted.anomaly_score[row]),
            "is_anomaly": bool(wanted.is_anomaly[row]),
            "threshold": model.threshold,
            "model_version": model.version,
        }
        for row in np.flatnonzero(~wanted.dead).tolist()
    }


def scores(settings: Settings, topic: str | None = None) -> dict[Place, dict[str, Any]]:
    """The records of `scores` by (partition, offset); fails where two of the same record contradict each other.

    Each has just the fields of `ml.schema.Score`, no other one and none missing.
    """
    found: dict[Place, dict[str, Any]] = {}
    for record in read_topic(settings.kafka_bootstrap_servers, topic or settings.scores_topic):
        exact(record.value)
        score = msgspec.json.decode(record.value)
        earlier = found.setdefault((score["partition"], score["offset"]), score)
        assert judgement(earlier) == judgement(score), "a record was judged twice, and not alike"
    return found


def judgement(score: dict[str, Any]) -> dict[str, Any]:
    """The part of a score that any replay must repeat bit for bit."""
    names = ("features", "late", "anomaly_score", "is_anomaly", "threshold", "model_version")
    return {name: score[name] for name in names}
