"""Scoreline's topics, with the configuration that its contracts require."""

from typing import Protocol

from kafka import KafkaAdminClient
from kafka.errors import KafkaError, TopicAlreadyExistsError

from messaging.config import KafkaConfig, KafkaSettings
from messaging.errors import Unreachable
from messaging.unreachable import certificate_trouble, why_unreachable

MIB = 1 << 20
LARGEST_TRANSACTION = 8 * MIB
OLDEST_MS = 200 * 365 * 86_400_000
"""A transaction's Kafka timestamp is at most so long ago. Spark counts microseconds in 64 bits, and at a
timestamp that does not fit its Kafka source fails, whatever it is asked for: the broker has to refuse such a record."""
EVENTS_KEPT_MS = 30 * 86_400_000


class TopicSettings(KafkaSettings, Protocol):
    """The settings that name the topics, and say how Kafka is reached; `settings.Settings` has them."""

    @property
    def transactions_topic(self) -> str: ...
    @property
    def scores_topic(self) -> str: ...
    @property
    def alerts_topic(self) -> str: ...
    @property
    def invalid_topic(self) -> str: ...
    @property
    def thresholds_topic(self) -> str: ...
    @property
    def early_alerts_topic(self) -> str: ...
    @property
    def profiles_topic(self) -> str: ...
    @property
    def labels_topic(self) -> str: ...
    @property
    def truth_topic(self) -> str: ...
    @property
    def events_topic(self) -> str: ...


def create_topics(settings: TopicSettings, partitions: int = 4) -> None:
    """Creates those of the settings' topics that are missing, each with so many partitions, and waits for their leaders.

    Topics that exist are left as they are. Raises KafkaError, `Unreachable`, and `KafkaConfigError` for settings
    that don't fit together.
    """
    # Latency is counted to the moment at which the broker appended the output, hence LogAppendTime. A dead letter
    # carries the largest transaction whole and its headers besides, hence the 1 MiB more.
    appended = {"message.timestamp.type": "LogAppendTime"}
    configs: dict[str, dict[str, str]] = {
        settings.transactions_topic: {
            "message.timestamp.type": "CreateTime",
            "message.timestamp.before.max.ms": str(OLDEST_MS),
            "max.message.bytes": str(LARGEST_TRANSACTION),
        },
        settings.scores_topic: appended,
        settings.alerts_topic: appended,
        settings.early_alerts_topic: appended,
        settings.invalid_topic: appended | {"max.message.bytes": str(LARGEST_TRANSACTION + MIB)},
        settings.thresholds_topic: {"cleanup.policy": "compact"},
        settings.profiles_topic: {"cleanup.policy": "compact"},
        settings.labels_topic: {},
        settings.truth_topic: {},
        settings.events_topic: appended | {"retention.ms": str(EVENTS_KEPT_MS)},
    }
    kafka = KafkaConfig.from_settings(settings)
    if trouble := certificate_trouble(kafka):
        raise Unreachable(f"Kafka at {kafka.servers} can't be used: {trouble}")
    try:
        connected = KafkaAdminClient(**kafka.for_kafka_python())
    except (KafkaError, OSError) as error:
        why = why_unreachable(kafka) or type(error).__name__
        raise Unreachable(f"Kafka at {kafka.servers} does not answer: {why}") from None
    with connected as admin:
        existing = set(admin.list_topics())
        missing = {
            name: {"num_partitions": partitions, "replication_factor": 1, "configs": config}
            for name, config in configs.items()
            if name not in existing
        }
        if missing:
            try:
                admin.create_topics(missing, wait_for_metadata=True)
            except TopicAlreadyExistsError:  # another process creates them at the same time
                admin.wait_for_topics(list(missing))
