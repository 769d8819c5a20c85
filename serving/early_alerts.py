"""Anomalies, sent to a topic of their own as soon as they are found."""

import logging
import threading
from typing import Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from messaging.config import KafkaConfig

_log = logging.getLogger(__name__)

PLACE_HEADER: Final = "scoreline-place"
"""PARTITION/OFFSET of the transaction, by which a reader, and the next process, knows what was alerted."""


class EarlyAlerts:
    """Sends alerts in the order in which they come, each once by this process. Called in the tail's thread."""

    def __init__(self, kafka: KafkaConfig, topic: str) -> None:
        self._topic = topic
        self.sent = 0
        self.failed = 0
        self._producer = Producer(
            {
                **kafka.for_confluent(),
                "acks": "all",
                "enable.idempotence": True,
                "linger.ms": 0,
                "partitioner": "murmur2_random",
                "message.max.bytes": 8 << 20,
                "log_level": 2,
            }
        )
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="early alerts", daemon=True)
        self._thread.start()

    def send(self, partition: int, offset: int, key: bytes | None, value: bytes) -> None:
        """One anomaly's score as JSON. Where the queue is full, it waits: the log then waits, and nothing is lost."""
        headers: list[tuple[str, str | bytes | None]] = [(PLACE_HEADER, f"{partition}/{offset}".encode())]
        while True:
            try:
                self._producer.produce(self._topic, value, key, headers=headers, on_delivery=self._delivered)
            except BufferError:
                self._producer.poll(0.1)
            except KafkaException as error:
                self._failure(error.args[0].str())
                return
            else:
                return

    def close(self, seconds: float) -> int:
        """Wait at most so long for what is on its way; returns how many are left."""
        left: int = self._producer.flush(seconds)
        self._stopped.set()
        self._thread.join(1)
        return left

    def _delivered(self, error: KafkaError | None, _: Message) -> None:
        if error is None:
            self.sent += 1
        else:
            self._failure(error.str())

    def _failure(self, why: str) -> None:
        self.failed += 1
        _log.error("an early alert could not be sent (%s); Spark's lane has it all the same", why)

    def _serve(self) -> None:
        while not self._stopped.is_set():
            self._producer.poll(0.1)
