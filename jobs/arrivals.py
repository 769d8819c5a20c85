"""How far the transactions topic had grown at a given time, asked of Kafka."""

from contextlib import closing
from typing import Any, Final

from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import OffsetSpec
from kafka.errors import NoError, for_code

_TIMEOUT_MS: Final = 3_000


class TransactionsTopic:
    """The transactions topic, seen through a client that lives as long as one question."""

    def __init__(self, name: str, client_options: dict[str, Any]) -> None:
        self._name = name
        self._options = client_options | {"request_timeout_ms": _TIMEOUT_MS, "bootstrap_timeout_ms": _TIMEOUT_MS}

    def partitions(self) -> int:
        """The topic's partition count. Raises KafkaError."""
        with closing(KafkaAdminClient(**self._options)) as admin:
            return self._partitions(admin)

    def offsets_at(self, time_ms: int) -> dict[int, int]:
        """Partition → end offset when Kafka's clock stood at `time_ms`, that millisecond included. Raises KafkaError."""
        with closing(KafkaAdminClient(**self._options)) as admin:
            places = [TopicPartition(self._name, number) for number in range(self._partitions(admin))]
            later = admin.list_partition_offsets(dict.fromkeys(places, time_ms + 1))
            ends = admin.list_partition_offsets(dict.fromkeys(places, OffsetSpec.LATEST))
        # Kafka answers -1 where no record is later.
        return {
            place.partition: ends[place].offset if later[place].offset < 0 else later[place].offset for place in places
        }

    def _partitions(self, admin: KafkaAdminClient) -> int:
        [found] = admin.describe_topics([self._name])
        error = for_code(found["error_code"])
        if error is not NoError:
            raise error(f"topic {self._name}")
        return len(found["partitions"])
