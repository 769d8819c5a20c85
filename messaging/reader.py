"""Reads whole topics from their beginning, without a consumer group."""

from collections.abc import Iterator
from types import TracebackType
from typing import Any, Final, Self

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from messaging.config import KafkaConfig
from messaging.errors import ReadError
from messaging.unreachable import why_unreachable

AT_ONCE: Final = 5_000
ANSWER_SECONDS: Final = 10.0


class Reader:
    """The records of some topics. Not for use by two threads at once. Raises `ReadError` where Kafka does not answer."""

    def __init__(self, kafka: KafkaConfig, *topics: str) -> None:
        self._kafka = kafka
        self._consumer = _connected(
            {
                **kafka.for_confluent_consumer(),
                "group.id": "reader",  # required, and never used: nothing is committed, partitions are assigned by hand
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 100,
                "queued.max.messages.kbytes": 32_768,
                "log_level": 2,  # what matters comes as exceptions, without librdkafka's own lines on stderr
            }
        )
        self._partitions = {topic: self._partitions_of(topic) for topic in topics}
        self._consumer.assign([TopicPartition(t, p, 0) for t, numbers in self._partitions.items() for p in numbers])

    def read(self, seconds: float) -> list[Message]:
        """The next records, in the order of each partition; waits for the first few at most so long."""
        return [message for message in self._read(seconds) if message.error() is None]

    def _read(self, seconds: float) -> list[Message]:
        """The next records, and the ends of partitions."""
        messages = []
        for message in self._consumer.consume(AT_ONCE, seconds):
            error = message.error()
            if error is None or error.code() == KafkaError._PARTITION_EOF:
                messages.append(message)
            elif error.code() not in (KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN):
                raise ReadError(f"Kafka's records cannot be read: {error.str()}.")
        return messages

    def ends(self, topic: str) -> dict[int, int]:
        """By partition: the offset of the record that will come next."""
        numbers = self._partitions.setdefault(topic, self._partitions_of(topic))
        return {number: self._watermark(topic, number) for number in numbers}

    def read_all(self) -> Iterator[Message]:
        """Every record that the topics hold now, each topic's partitions in any order."""
        missing = {(topic, number) for topic, numbers in self._partitions.items() for number in numbers}
        while missing:
            for message in self._read(0.1):
                if message.error() is None:
                    yield message
                else:  # an end: the last offsets may hold no records, but commit markers
                    missing.discard((message.topic(), message.partition()))

    def _partitions_of(self, topic: str) -> list[int]:
        try:
            return sorted(self._consumer.list_topics(topic, ANSWER_SECONDS).topics[topic].partitions)
        except KafkaException as error:
            raise self._no_answer(error) from None

    def _watermark(self, topic: str, partition: int) -> int:
        try:
            return int(self._consumer.get_watermark_offsets(TopicPartition(topic, partition), ANSWER_SECONDS)[1])
        except KafkaException as error:
            raise self._no_answer(error) from None

    def _no_answer(self, error: KafkaException) -> ReadError:
        why = why_unreachable(self._kafka) or error.args[0].str()
        return ReadError(f"Kafka at {self._kafka.servers} does not answer: {why}.")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._consumer.close()


def _connected(configuration: dict[str, Any]) -> Consumer:
    try:
        return Consumer(configuration)
    except KafkaException as error:
        raise ReadError(
            f"Kafka's client refuses its settings: {error.args[0].str()}; see the KAFKA_ settings"
        ) from None
