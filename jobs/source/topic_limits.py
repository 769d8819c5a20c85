"""How large a record each output topic takes, as its broker reports."""

import logging
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import (
    ClusterAuthorizationFailedError,
    IncompatibleBrokerVersion,
    KafkaError,
    TopicAuthorizationFailedError,
    UnsupportedVersionError,
)

from jobs.runtime.errors import Fatal, Unavailable
from messaging.config import KafkaConfig
from settings import Settings

_log = logging.getLogger(__name__)

KAFKA_DEFAULT: Final = 1_048_588
"""Kafka's default of max.message.bytes; it counts a whole batch of records, of which one alone is the smallest."""

SMALLEST: Final = 4096
"""Below this a topic takes neither an ordinary score nor a truncated dead letter with its headers."""

LARGEST: Final = 64 << 20
"""What the writer of micro-batches has room for, whatever a topic takes; what is larger is sent by itself."""

_BATCH: Final = 160
"""Bytes of a batch of one record besides key, value and headers, and of lz4's frame about it: 61 + 21 + 15, and some more."""

_NOT_ALLOWED: Final = (
    TopicAuthorizationFailedError,
    ClusterAuthorizationFailedError,
    UnsupportedVersionError,
    IncompatibleBrokerVersion,
)


class TopicLimits(NamedTuple):
    """Most bytes (max.message.bytes) of a batch of records on each output topic."""

    scores: int = KAFKA_DEFAULT
    alerts: int = KAFKA_DEFAULT
    invalid: int = KAFKA_DEFAULT

    @property
    def smallest(self) -> int:
        """The least of them: a producer that fills larger batches has each refused, and splits it."""
        return min(self)


def room(limit: int) -> int:
    """Bytes that key, value and headers may have together where a batch has at most `limit`, however badly they compress.

    >>> room(1_048_588)
    1048172
    """
    return limit - _BATCH - limit // 4096


def read_limits(settings: Settings) -> TopicLimits:
    """The limits of the topics that detect writes to; Kafka's default where the broker may not be asked."""
    topics = settings.scores_topic, settings.alerts_topic, settings.invalid_topic
    found = topic_settings(settings, topics, ("max.message.bytes",))
    return TopicLimits(
        *(min(LARGEST, int(found.get(topic, {}).get("max.message.bytes", KAFKA_DEFAULT))) for topic in topics)
    )


def topic_settings(settings: Settings, topics: Sequence[str], names: Sequence[str]) -> dict[str, dict[str, str]]:
    """What the broker has set for topics: {topic: {name: value}}; nothing where it may not be asked.

    Raises `Unavailable` where it does not answer.
    """
    asked = [ConfigResource(ConfigResourceType.TOPIC, topic, list(names)) for topic in topics]
    options = KafkaConfig.from_settings(settings).for_kafka_python()
    try:
        with KafkaAdminClient(**options, bootstrap_timeout_ms=10_000, request_timeout_ms=15_000) as admin:
            answer: dict[str, dict[str, Any]] = admin.describe_configs(asked, config_filter="all").get("topic", {})
    except _NOT_ALLOWED as error:
        _log.warning(
            "the broker may not be asked for the limits of topics (%s): Kafka's default of %d bytes is assumed; "
            "grant DescribeConfigs on %s",
            type(error).__name__,
            KAFKA_DEFAULT,
            ", ".join(topics),
        )
        return {}
    except KafkaError as error:
        raise Unavailable(
            f"Kafka does not answer at {settings.kafka_bootstrap_servers} ({type(error).__name__})"
        ) from None
    return {
        topic: {name: str(value["value"] if isinstance(value, dict) else value) for name, value in found.items()}
        for topic, found in answer.items()
    }


def check_limits(settings: Settings) -> None:
    """Log in one line each what does not fit the output topics; raises `Fatal` where nothing could be written."""
    topics = settings.scores_topic, settings.alerts_topic, settings.invalid_topic
    try:
        found = topic_settings(settings, topics, ("max.message.bytes", "cleanup.policy"))
    except Unavailable as error:
        raise Fatal(f"{error}: start it (make stack), or set KAFKA_BOOTSTRAP_SERVERS to its address") from None
    for topic, values in found.items():
        limit = int(values.get("max.message.bytes", KAFKA_DEFAULT))
        if limit < SMALLEST:
            raise Fatal(
                f"the topic {topic} takes records of at most {limit:,} bytes (max.message.bytes), and at least "
                f"{SMALLEST:,} are required: {_alter(settings, topic, 'max.message.bytes', KAFKA_DEFAULT)}"
            )
        if "compact" in values.get("cleanup.policy", ""):
            raise Fatal(
                f"the topic {topic} is compacted, so that it refuses records without a key and keeps one for each: "
                f"{_alter(settings, topic, 'cleanup.policy', 'delete')}"
            )
        fits, what = _fitting(settings, topic)
        if room(limit) < fits:
            wanted = fits + fits // 4096 + 2 * _BATCH
            _log.warning(
                "the topic %s takes records of at most %s bytes (max.message.bytes): %s; %s",
                topic,
                f"{limit:,}",
                what,
                _alter(settings, topic, "max.message.bytes", wanted),
            )


def _fitting(settings: Settings, topic: str) -> tuple[int, str]:
    """Bytes that the largest ordinary record of a topic has, and what happens to those that do not fit."""
    if topic == settings.invalid_topic:
        return settings.max_transaction_bytes + 1024, "larger dead letters are truncated"
    # A score has the transaction's fields and some 2 KiB more.
    return settings.max_transaction_bytes + 4096, "a transaction whose score is larger becomes a dead letter"


def _alter(settings: Settings, topic: str, name: str, value: object) -> str:
    servers = settings.kafka_bootstrap_servers
    return f"kafka-configs.sh --bootstrap-server {servers} --alter --topic {topic} --add-config {name}={value}"
