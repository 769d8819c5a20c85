"""Reads what the streaming job made of transactions back from the topic of scores."""

from collections.abc import Mapping
from typing import Final

import msgspec
import numpy as np
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from rich.progress import Progress

from ml.evaluation.data import Transactions
from ml.evaluation.split import EvaluationError
from ml.metrics import Flags
from ml.model import Floats
from ml.parse import hash_id

ANSWER_SECONDS: Final = 10.0
_AT_ONCE: Final = 10_000
_AWAY: Final = (KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN)


class Scored(msgspec.Struct, frozen=True):
    """The part of `ml.schema.Score` that is judged."""

    transaction_id: str
    anomaly_score: float
    is_anomaly: bool


def read_scores(kafka: Mapping[str, str], topic: str, progress: Progress) -> dict[int, Scored]:
    """All that the topic holds now, by the hash of transaction_id; kafka: librdkafka's configuration.

    A record that was scored again after a restart has the same judgement, and counts once. Raises `EvaluationError` where
    Kafka does not answer or has no such topic.
    """
    quiet = {"group.id": "evaluate", "enable.auto.commit": "false", "auto.offset.reset": "earliest", "log_level": "2"}
    consumer = Consumer({**quiet, **kafka})  # the group is required and never used: partitions are assigned by hand
    try:
        return _read(consumer, topic, progress)
    except KafkaException as error:
        raise EvaluationError(
            f"the topic {topic} can't be read from Kafka at {kafka['bootstrap.servers']}: {error.args[0].str()}"
        ) from None
    finally:
        consumer.close()


def _read(consumer: Consumer, topic: str, progress: Progress) -> dict[int, Scored]:
    listed = consumer.list_topics(topic, ANSWER_SECONDS).topics[topic]
    if listed.error is not None:
        raise KafkaException(listed.error)
    places = [TopicPartition(topic, number, 0) for number in listed.partitions]
    ends = {p.partition: consumer.get_watermark_offsets(p, ANSWER_SECONDS)[1] for p in places}
    first = {p.partition: consumer.get_watermark_offsets(p, ANSWER_SECONDS)[0] for p in places}
    missing = {number: end for number, end in ends.items() if end > first[number]}
    bar = progress.add_task(f"reading {topic}", total=sum(end - first[n] for n, end in missing.items()))
    consumer.assign(places)
    decode = msgspec.json.Decoder(Scored).decode
    found: dict[int, Scored] = {}
    while missing:
        for message in consumer.consume(_AT_ONCE, 1.0):
            error, value = message.error(), message.value()
            if error is not None and error.code() not in _AWAY:
                raise KafkaException(error)
            if error is None and value is not None:
                score = decode(value)
                found[hash_id(score.transaction_id)] = score
                progress.advance(bar)
            _strike(missing, message.partition(), message.offset())
    return found


def _strike(missing: dict[int, int], partition: int | None, offset: int | None) -> None:
    if partition in missing and offset is not None and offset + 1 >= missing[partition]:
        del missing[partition]


def matched(part: Transactions, scores: Mapping[int, Scored]) -> tuple[Transactions, Floats, Flags]:
    """The transactions that were scored, their scores (n,) and whether each was alerted (n,).

    Raises `EvaluationError` where none was.
    """
    here = [scores.get(transaction) for transaction in part.transaction.tolist()]
    rows = np.array([score is not None for score in here], np.bool_)
    if not rows.any():
        raise EvaluationError(
            f"the scores should be of the {len(part):,} transactions that judge, the last of the history, but of the "
            f"{len(scores):,} scores none is"
        )
    found = [score for score in here if score is not None]
    return part.of(rows), np.array([s.anomaly_score for s in found]), np.array([s.is_anomaly for s in found], np.bool_)
