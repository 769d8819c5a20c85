"""Connections to Kafka that read some topics from given places, and the ids of topics."""

from collections.abc import Mapping, Sequence
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient

from messaging.config import KafkaConfig
from messaging.unreachable import why_unreachable

ANSWER_SECONDS: Final = 10.0


class TopicMissing(Exception):
    """A topic is not there; the text names it."""


def consumer(kafka: KafkaConfig) -> Consumer:
    """A client that reads what it is assigned, and commits nothing."""
    return Consumer(
        {
            **kafka.for_confluent_consumer(),
            "group.id": "page",  # librdkafka wants one; nothing is committed, partitions are assigned by hand
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": 100,
            "queued.max.messages.kbytes": 16_384,
            "log_level": 2,  # what matters comes as errors, without librdkafka's own lines on stderr
        }
    )


def topic_ids(kafka: KafkaConfig, topics: Sequence[str]) -> dict[str, str]:
    """By topic its id: one that is deleted and made again has another. Raises `KafkaException` and `TopicMissing`."""
    admin = AdminClient({**kafka.for_confluent(), "log_level": 2})
    asked = admin.describe_topics(TopicCollection(list(topics)), request_timeout=ANSWER_SECONDS)
    found = {}
    for name, future in asked.items():
        try:
            found[name] = str(future.result(ANSWER_SECONDS).topic_id)
        except KafkaException as error:
            if error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise TopicMissing(f"there is no topic {name} yet") from None
            raise
    return found


def assign(client: Consumer, places: Mapping[str, Mapping[int, int]]) -> None:
    """Read all partitions of some topics: each from its offset, or from its beginning where it has none."""
    parts = []
    for topic, offsets in places.items():
        listed = client.list_topics(topic, ANSWER_SECONDS).topics[topic]
        if listed.error is not None:
            raise TopicMissing(f"there is no topic {topic} yet")
        parts += [TopicPartition(topic, number, offsets.get(number, 0)) for number in listed.partitions]
    client.assign(parts)


def sound(messages: Sequence[Message]) -> list[Message]:
    """Those that are records. Raises `KafkaException` where Kafka can't be read."""
    for message in messages:
        error = message.error()
        if error is not None and error.code() != KafkaError._PARTITION_EOF:
            raise KafkaException(error)
    return [message for message in messages if message.error() is None]


def in_words(error: Exception, kafka: KafkaConfig) -> str:
    """An error of Kafka's client or ours as one line; where Kafka can't be reached, with the setting to look at."""
    if isinstance(error, TimeoutError | KafkaException) and (why := why_unreachable(kafka)):
        return f"Kafka does not answer: {why}"
    if isinstance(error, TimeoutError):
        return "Kafka does not answer"
    first = error.args[0] if error.args else error
    return first.str() if isinstance(first, KafkaError) else " ".join(str(error).split()) or type(error).__name__
