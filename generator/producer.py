"""The way into Kafka: a producer that loses nothing without an error."""

from collections.abc import Iterable

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from messaging.config import KafkaConfig
from messaging.unreachable import why_unreachable

CONNECT_SECONDS, FLUSH_SECONDS = 10.0, 150.0
DELIVERY_MS = 120_000  # a broker may be unavailable this long, and nothing is lost


class KafkaUnreachable(Exception):
    """No broker answers, or a topic is missing."""


class DeliveryFailed(Exception):
    """Kafka did not take some of the records."""


class Outbox:
    """Puts records on topics, in order, each exactly once; `close` waits until Kafka has all of them.

    Records of one customer keep their order and their partition (the Murmur2 hash of the key, as Java's producers use).
    Raises KafkaUnreachable if no broker answers within ten seconds or a topic does not exist, and DeliveryFailed, from
    `put_all`, `poll` and `close`, when a record could not be delivered.
    """

    def __init__(self, kafka: KafkaConfig, topics: Iterable[str], linger_ms: int) -> None:
        self._failed, self._reason = 0, ""
        self._complaint = ""
        self._producer = self._connected(
            {
                **kafka.for_confluent(),
                "acks": "all",
                "enable.idempotence": True,
                "partitioner": "murmur2_random",
                "compression.type": "lz4",
                "linger.ms": linger_ms,
                "batch.size": 1 << 20,
                "queue.buffering.max.messages": 400_000,
                "delivery.timeout.ms": DELIVERY_MS,
                "delivery.report.only.error": True,
                "on_delivery": self._not_delivered,
                "error_cb": self._complain,
                "log_level": 2,  # what matters comes through the callbacks, without librdkafka's own lines on stderr
            }
        )
        self._check(kafka, topics)

    def put_all(self, topic: str, keys: list[bytes], values: list[bytes], timestamps_ms: list[int]) -> None:
        """Hand over records, one for each key, value and timestamp; waits while too many are in flight."""
        produce = self._producer.produce
        for key, value, timestamp in zip(keys, values, timestamps_ms, strict=True):
            while True:
                try:
                    produce(topic, value, key, timestamp=timestamp)
                    break
                except BufferError:
                    self.poll(0.05)

    def put(self, topic: str, key: bytes | None, value: bytes, timestamp_ms: int, headers: dict[str, str]) -> None:
        """Hand over one record with headers; waits while too many are in flight."""
        while True:
            try:
                self._producer.produce(topic, value, key, timestamp=timestamp_ms, headers=dict(headers))
                return
            except BufferError:
                self.poll(0.05)

    def poll(self, seconds: float = 0.0) -> None:
        """Take Kafka's answers."""
        self._producer.poll(seconds)
        if self._failed:
            raise DeliveryFailed(self._in_words())

    def close(self) -> None:
        """Wait until Kafka has all records."""
        left = self._producer.flush(FLUSH_SECONDS)
        if left or self._failed:
            self._failed += left
            raise DeliveryFailed(self._in_words())

    def _connected(self, configuration: dict[str, object]) -> Producer:
        try:
            return Producer(configuration)
        except KafkaException as error:
            raise KafkaUnreachable(
                f"Kafka's client refuses its settings: {error.args[0].str()}; see the KAFKA_ settings"
            ) from None

    def _in_words(self) -> str:
        why = self._reason or self._complaint or "no answer"
        return f"{self._failed} records did not reach Kafka: {why}"

    def _not_delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._failed += 1
            self._reason = self._reason or f"topic {message.topic()}: {error.str()}"

    def _complain(self, error: KafkaError) -> None:
        self._complaint = error.str()

    def _check(self, kafka: KafkaConfig, topics: Iterable[str]) -> None:
        servers = kafka.servers
        try:
            known = self._producer.list_topics(timeout=CONNECT_SECONDS).topics
        except KafkaException:
            raise KafkaUnreachable(f"no Kafka broker answers at {servers}: {why_unreachable(kafka)}") from None
        missing = sorted(set(topics) - set(known))
        if missing:
            raise KafkaUnreachable(f"Kafka at {servers} has no topic {', '.join(missing)}; create it first")
