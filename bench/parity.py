"""Compares what both lanes answered with one fold along the log, record by record, by its place (partition, offset)."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
import pyarrow.parquet as pq
from confluent_kafka import Consumer, TopicPartition

from bench.errors import BenchError
from bench.inputs import Input
from detection.decision import Decision
from detection.engine import Engine, Limits, Scored
from detection.folding import Messages
from detection.ranges import Versions
from detection.score_json import closing, read
from messaging.config import KafkaConfig
from ml.features import CUSTOMER
from ml.features.currencies import default_rates
from ml.features.customers import IDENTITY, Customers
from ml.registry.model_store import ModelStore
from ml.schema import Score
from settings import Settings

Place = tuple[int, int]

_AT_ONCE: Final = 20_000
_FOLDED_AT_ONCE: Final = 500
_TIMEOUT_SECONDS: Final = 30.0
_OF_ANSWERS: Final = ("transaction_id", "anomaly_score", "threshold", "is_anomaly", "model_version")
_OF_SCORES: Final = (*_OF_ANSWERS, "features", "model_digest", "threshold_version", "order_undefined")


class Compared(NamedTuple):
    """places: that were compared. differing: those of them at which an answer or a score is not the fold's to the last bit,
    that the fold has nothing for, or that a topic has twice.
    """

    places: set[Place]
    differing: set[Place]

    def __or__(self, other: "Compared") -> "Compared":
        return Compared(self.places | other.places, self.differing | other.differing)


def folded(settings: Settings, made: Input) -> dict[Place, bytes]:
    """The log's records, folded and judged once, in one process, in the log's order: their scores as JSON."""
    registry = ModelStore(made.registry_uri, "scoreline", "champion")
    model = registry.load(registry.champion())
    versions = Versions(model.version, name=model.name, model_digest=model.digest)
    decision = Decision.from_table(versions, model, None)
    limits = Limits(settings.max_transaction_bytes, settings.max_future_hours, default_rates())
    engine, end = Engine(_customers(made), limits), closing("early", None, 0)
    found: dict[Place, bytes] = {}
    records = _records(settings, settings.transactions_topic)
    while some := list(islice(records, _FOLDED_AT_ONCE)):
        messages = Messages(
            [record.value() for record in some],
            [record.key() for record in some],
            [record.timestamp()[1] for record in some],
            [record.partition() for record in some],
            [record.offset() for record in some],
        )
        for record, outcome in zip(some, engine.work(messages, decision, end), strict=True):
            if isinstance(outcome, Scored):
                found[record.partition(), record.offset()] = outcome.value
    return found


def compare_answers(fold: Mapping[Place, bytes], answers: Iterable[Mapping[str, Any]]) -> Compared:
    """Answers by HTTP with the fold's scores: score, threshold and verdict."""
    found = Compared(set(), set())
    for answer in answers:
        if answer.get("partition") is None or answer.get("anomaly_score") is None:
            continue  # refused, or without a judgement: the load counts it
        place = answer["partition"], answer["offset"]
        value = fold.get(place)
        score = None if value is None else read(value)
        found.places.add(place)
        if score is None or any(answer[name] != getattr(score, name) for name in _OF_ANSWERS):
            found.differing.add(place)
    return found


def compare_scores(fold: Mapping[Place, bytes], values: Iterable[bytes]) -> Compared:
    """Scores as JSON with the fold's: all features, the score and the versions that judged."""
    found = Compared(set(), set())
    for value in values:
        score = read(value)
        place = score.partition, score.offset
        own = fold.get(place)
        if own is None or place in found.places or _said(score) != _said(read(own)):
            found.differing.add(place)
        found.places.add(place)
    return found


def on_topic(settings: Settings, topic: str) -> Iterator[bytes]:
    """The values of a topic's records, partition after partition."""
    return (record.value() for record in _records(settings, topic))


def _said(score: Score) -> bytes:
    """As JSON, in which two numbers are the same only where all their bits are."""
    return msgspec.json.encode([getattr(score, name) for name in _OF_SCORES])


def _customers(made: Input) -> Customers:
    packed: list[Any] = pq.read_table(made.state)["state"].to_pylist()
    states = np.frombuffer(b"".join(packed), CUSTOMER)
    identities = np.empty(len(states), IDENTITY)
    identities["high"], identities["low"] = states["id_high"], states["id_low"]
    customers = Customers()
    rows = customers.locate(identities)  # before `states` is looked at: it makes their room
    customers.states[rows] = states
    return customers


def _records(settings: Settings, topic: str) -> Iterator[Any]:
    """A topic's records, partition after partition."""
    options = KafkaConfig.from_settings(settings).for_confluent_consumer()
    consumer = Consumer(
        {
            **options,
            "group.id": "bench",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "fetch.message.max.bytes": 8 << 20,
            "log_level": 2,
        }
    )
    try:
        for number in sorted(consumer.list_topics(topic, timeout=_TIMEOUT_SECONDS).topics[topic].partitions):
            end = consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=_TIMEOUT_SECONDS)[1]
            consumer.assign([TopicPartition(topic, number, 0)])
            offset = 0
            while offset < end:
                messages: list[Any] = consumer.consume(min(_AT_ONCE, end - offset), _TIMEOUT_SECONDS)
                if not messages or messages[0].error():
                    raise BenchError(f"{topic}, partition {number} has {end:,} records, but Kafka gave {offset:,}")
                offset = messages[-1].offset() + 1
                yield from messages
    finally:
        consumer.close()
