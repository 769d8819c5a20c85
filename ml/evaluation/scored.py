"""Reads what the streaming job made of transactions back from the topic of scores."""

import logging
from collections.abc import Mapping
from typing import Annotated, Final

import msgspec
import numpy as np
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from rich.progress import Progress

from ml.arrays import Flags, Floats
from ml.dataset.split import EvaluationError
from ml.evaluation.data import Transactions
from ml.features.events import hash_id
from ml.schema import Identifier, Reader, SchemaVersion, Unreadable

ANSWER_SECONDS: Final = 10.0
_AT_ONCE: Final = 10_000
_AWAY: Final = (KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN)


class Scored(msgspec.Struct, frozen=True):
    """The part of `ml.schema.Score` that is judged, alike in all its versions."""

    transaction_id: Identifier
    anomaly_score: Annotated[float, msgspec.Meta(ge=0, le=1)]
    is_anomaly: bool
    schema_version: SchemaVersion = 1


_log = logging.getLogger(__name__)
_reader: Final = Reader(Scored)


def read_scores(kafka: Mapping[str, str], topic: str, progress: Progress) -> dict[int, Scored]:
    """All that the topic holds now, by the hash of transaction_id; kafka: librdkafka's configuration.

    A record that was scored again after a restart has the same judgement, and counts once. What is no score is left out,
    and logged. Raises `EvaluationError` where Kafka does not answer or has no such topic.
    """
    quiet = {"group.id": "evaluate", "enable.auto.commit": "false", "auto.offset.reset": "earliest", "log_level": "2"}
    # The group is required and never used: partitions are assigned by hand.
    consumer = Consumer({**quiet, "enable.partition.eof": "true", **kafka})
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
    spans = [consumer.get_watermark_offsets(place, ANSWER_SECONDS) for place in places]
    bar = progress.add_task(f"reading {topic}", total=sum(end - first for first, end in spans))
    consumer.assign(places)
    missing = {place.partition for place in places}
    found: dict[int, Scored] = {}
    unreadable: list[str] = []
    while missing:
        for message in consumer.consume(_AT_ONCE, 1.0):
            error = message.error()
            if error is None:
                progress.advance(bar)
                _take(message, found, unreadable)
            elif error.code() == KafkaError._PARTITION_EOF:  # the last offsets may hold no records, but commit markers
                missing.discard(message.partition())
            elif error.code() not in _AWAY:
                raise KafkaException(error)
    if unreadable:
        _log.warning("left out %d of %s, being no scores, the first %s", len(unreadable), topic, unreadable[0])
    return found


def _take(message: Message, found: dict[int, Scored], unreadable: list[str]) -> None:
    try:
        score = _reader.read(message.value())
    except Unreadable as why:
        unreadable.append(f"at partition {message.partition()}, offset {message.offset()}: {why}")
    else:
        found[hash_id(score.transaction_id)] = score


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
    return (
        part.select(rows),
        np.array([s.anomaly_score for s in found]),
        np.array([s.is_anomaly for s in found], np.bool_),
    )
