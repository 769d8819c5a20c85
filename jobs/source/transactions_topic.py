"""How far the transactions topic had grown at a given time, and how many records wait there, asked of Kafka."""

from collections.abc import Mapping
from contextlib import closing
from typing import Any, Final

from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import OffsetSpec
from kafka.errors import NoError, for_code

from jobs.runtime.record_counts import count_records
from jobs.throughput import Arrived, Span
from messaging.config import KafkaConfig
from settings import Settings

_TIMEOUT_MS: Final = 3_000


class TransactionsTopic:
    """The transactions topic, seen through clients that live as long as one question.

    It ends at the last stable offset where the settings say read_committed: what a producer's open transaction has written
    has not arrived yet.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._name = settings.transactions_topic
        self._isolation = settings.kafka_isolation_level
        timeouts = {"request_timeout_ms": _TIMEOUT_MS, "bootstrap_timeout_ms": _TIMEOUT_MS}
        self._admin: dict[str, Any] = KafkaConfig.from_settings(settings).for_kafka_python() | timeouts

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
        """How many records partitions hold in spans; see `count_records`."""
        found = count_records(self._settings, {(self._name, number): span for number, span in spans.items()})
        return {number: count for (_, number), count in found.items()}

    def _partitions(self, admin: KafkaAdminClient) -> list[int]:
        [found] = admin.describe_topics([self._name])
        error = for_code(found["error_code"])
        if error is not NoError:
            raise error(f"topic {self._name}")
        return sorted(partition["partition_index"] for partition in found["partitions"])
