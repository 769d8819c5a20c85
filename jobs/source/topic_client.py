"""Asks Kafka about topics, over one connection that is kept: which they are, and what they still hold."""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import OffsetSpec
from kafka.errors import KafkaError, NoError, UnknownTopicOrPartitionError, for_code

from jobs.runtime.errors import Unavailable
from messaging.config import KafkaConfig
from settings import Settings

_TIMEOUT_MS: Final = 3_000


class Topic(NamedTuple):
    """What Kafka says of a topic: its id, which a topic that is made again under the same name does not share.

    Brokers before Kafka 2.8 know no ids; then it is empty, and all topics of a name are the same.
    """

    id: str
    partitions: list[int]

    def differs(self, id: str) -> bool:
        """Whether this is another topic than one with that id."""
        return bool(self.id and id) and self.id != id


class TopicClient:
    """An administrator's connection that is kept, and made again after a failure. For several threads."""

    def __init__(self, settings: Settings) -> None:
        timeouts = {"request_timeout_ms": _TIMEOUT_MS, "bootstrap_timeout_ms": _TIMEOUT_MS}
        self._options: dict[str, Any] = KafkaConfig.from_settings(settings).for_kafka_python() | timeouts
        self._lock = threading.Lock()
        self._admin: KafkaAdminClient | None = None
        self._closed = False

    def topics(self, names: Sequence[str]) -> dict[str, Topic]:
        """The topics by name. Raises `Unavailable` where one does not exist, KafkaError where Kafka does not say."""
        described = self._ask(lambda admin: admin.describe_topics(list(names)))
        for topic in described:
            error = for_code(topic["error_code"])
            if error is UnknownTopicOrPartitionError:
                raise Unavailable(f"the topic {topic['name']} does not exist at the moment: the query waits for it")
            if error is not NoError:
                raise error(f"topic {topic['name']}")
        return {
            topic["name"]: Topic(str(topic.get("topic_id", "")), [p["partition_index"] for p in topic["partitions"]])
            for topic in described
        }

    def first_offsets(self, partitions: Mapping[str, Sequence[int]]) -> dict[tuple[str, int], int]:
        """The oldest offset that each partition has. Raises KafkaError."""
        places = [TopicPartition(name, number) for name, numbers in partitions.items() for number in numbers]
        found = self._ask(lambda admin: admin.list_partition_offsets(dict.fromkeys(places, OffsetSpec.EARLIEST)))
        return {(place.topic, place.partition): found[place].offset for place in places}

    def close(self) -> None:
        """Close the connection, for good: a micro-batch that still runs gets no answer any more."""
        with self._lock:
            self._closed = True
            if self._admin is not None:
                self._admin.close()
                self._admin = None

    def _ask(self, question: Callable[[KafkaAdminClient], Any]) -> Any:
        with self._lock:
            if self._closed:
                raise KafkaError("the query has ended")
            try:
                if self._admin is None:
                    self._admin = KafkaAdminClient(**self._options)
                return question(self._admin)
            except Exception as error:
                admin, self._admin = self._admin, None
                if admin is not None:
                    admin.close()
                raise error if isinstance(error, KafkaError) else KafkaError(repr(error)) from error
