"""How far the transactions topic had grown at a given time, and how many records wait there, asked of Kafka."""

import time
from collections.abc import Mapping
from contextlib import closing
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException
from confluent_kafka import TopicPartition as Place
from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import OffsetSpec
from kafka.errors import NoError, for_code

from jobs.throughput import Arrived, Span
from messaging.config import KafkaConfig
from settings import Settings

_TIMEOUT_MS: Final = 3_000
_MOST_COUNTED: Final = 5_000
_COUNTING_SECONDS: Final = 2.0


class TransactionsTopic:
    """The transactions topic, seen through clients that live as long as one question.

    It ends at the last stable offset where the settings say read_committed: what a producer's open transaction has written
    has not arrived yet.
    """

    def __init__(self, settings: Settings) -> None:
        self._name = settings.transactions_topic
        self._isolation = settings.kafka_isolation_level
        timeouts = {"request_timeout_ms": _TIMEOUT_MS, "bootstrap_timeout_ms": _TIMEOUT_MS}
        kafka = KafkaConfig.from_settings(settings)
        self._admin: dict[str, Any] = kafka.for_kafka_python() | timeouts
        self._consumer = kafka.for_confluent_consumer() | {
            "group.id": "lag",  # librdkafka wants one; nothing is committed
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "queued.max.messages.kbytes": 16_384,
            "log_level": 2,
        }

    def at(self, time_ms: int) -> Arrived:
        """Where it ended when Kafka's clock stood at `time_ms`, that millisecond included. Raises KafkaError."""
        with closing(KafkaAdminClient(**self._admin)) as admin:
            places = [TopicPartition(self._name, number) for number in self._partitions(admin)]
            later = admin.list_partition_offsets(dict.fromkeys(places, time_ms + 1), self._isolation)
            ends = admin.list_partition_offsets(dict.fromkeys(places, OffsetSpec.LATEST), self._isolation)
        # Kafka answers -1 where no record is later.
        then = {p.partition: ends[p].offset if later[p].offset < 0 else later[p].offset for p in places}
        return Arrived(then, {place.partition: ends[place].offset for place in places})

    def records(self, spans: Mapping[int, Span]) -> dict[int, int]:
        """How many records partitions hold in spans, counted one by one: control records and aborted ones do not count.

        Spans that are long together are left out, and so is a partition that Kafka does not give in two seconds.
        """
        if sum(end - start for start, end in spans.values()) > _MOST_COUNTED:
            return {}
        with closing(Consumer(self._consumer)) as consumer:
            try:
                return self._counted(consumer, spans)
            except KafkaException:
                return {}

    def _counted(self, consumer: Consumer, spans: Mapping[int, Span]) -> dict[int, int]:
        consumer.assign([Place(self._name, number, start) for number, (start, _) in spans.items()])
        counts = dict.fromkeys(spans, 0)
        missing = set(spans)
        deadline = time.monotonic() + _COUNTING_SECONDS
        while missing and time.monotonic() < deadline:
            for message in consumer.consume(_MOST_COUNTED, 0.1):
                partition, offset, error = message.partition(), message.offset(), message.error()
                if partition is None or (error is not None and error.code() != KafkaError._PARTITION_EOF):
                    continue
                if error is not None or offset is None or offset >= spans[partition][1]:
                    missing.discard(partition)
                else:
                    counts[partition] += 1
                    if offset + 1 == spans[partition][1]:
                        missing.discard(partition)
        return {partition: count for partition, count in counts.items() if partition not in missing}

    def _partitions(self, admin: KafkaAdminClient) -> list[int]:
        [found] = admin.describe_topics([self._name])
        error = for_code(found["error_code"])
        if error is not NoError:
            raise error(f"topic {self._name}")
        return sorted(partition["partition_index"] for partition in found["partitions"])
