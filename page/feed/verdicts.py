"""Sends verdicts as labels, from the outbox: at least once, in the order in which they were said of a transaction."""

import time
from collections.abc import Callable, Sequence
from typing import Final

import msgspec
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from messaging.config import KafkaConfig
from page.feed.worker import Worker
from page.health import Health
from page.store import outbox
from page.store.database import Database
from settings import Settings

ANALYST_HEADER: Final = "analyst"
"""The header of a label that names who said it."""

_AT_ONCE: Final = 500
_PAUSE_SECONDS: Final = 0.2
_DELIVERY_MS: Final = 10_000
_FLUSH_SECONDS: Final = 15.0
_ALONE: Final = 7_620_418
"""The number of the advisory lock that the one page that sends holds, of all pages on a PostgreSQL store."""


class _Key(msgspec.Struct):
    customer_id: str


_key: Final = msgspec.json.Decoder(_Key).decode


class VerdictSender(Worker):
    """Sends what waits, and marks it when Kafka has confirmed it.

    Killed in between, it sends the same again: the rule of labels makes that harmless (`ml.label_rule`).
    """

    def __init__(self, settings: Settings, database: Database, health: Health, clock: Callable[[], int]) -> None:
        super().__init__("verdicts", health, KafkaConfig.from_settings(settings))
        self._topic = settings.labels_topic
        self._database = database
        self._clock = clock

    def session(self) -> None:
        """See `Worker`."""
        with self._database.alone(_ALONE) as alone:
            if not alone:  # another page on the same store sends
                self.works()
                self.stopped.wait(5.0)
                return
            producer = self.producer()
            try:
                while not self.stopped.is_set():
                    if not self.send(producer):
                        self.stopped.wait(_PAUSE_SECONDS)
                    self.works()
            finally:
                producer.purge()

    def send(self, producer: Producer) -> int:
        """Send what waits, and wait for Kafka's answers; returns how many. Raises `KafkaException` where some are not sent."""
        with self._database.read() as connection:
            waiting = outbox.waiting(connection, _AT_ONCE)
        if not waiting:
            return 0
        confirmed, failed = self._deliver(producer, waiting)
        if confirmed:
            with self._database.begin() as connection:
                outbox.mark_sent(connection, confirmed, self._clock())
        if failed:
            raise KafkaException(failed[0])
        return len(confirmed)

    def _deliver(self, producer: Producer, waiting: Sequence[outbox.Waiting]) -> tuple[list[int], list[KafkaError]]:
        confirmed: list[int] = []
        failed: list[KafkaError] = []

        def report(number: int) -> Callable[[KafkaError | None, Message], None]:
            return lambda error, _: confirmed.append(number) if error is None else failed.append(error)

        for one in waiting:
            key = _key(one.label).customer_id.encode()
            headers: dict[str, str | bytes | None] = {ANALYST_HEADER: one.said_by.encode()}
            producer.produce(self._topic, one.label.encode(), key, on_delivery=report(one.number), headers=headers)
        deadline = time.monotonic() + _FLUSH_SECONDS
        while len(confirmed) + len(failed) < len(waiting) and time.monotonic() < deadline:
            producer.poll(0.05)
        if len(confirmed) + len(failed) < len(waiting):
            failed.append(KafkaError(KafkaError._TIMED_OUT, "labels were not confirmed in time"))
        return confirmed, failed

    def producer(self) -> Producer:
        """A connection that writes each record once and in order."""
        return Producer(
            {
                **self.kafka.for_confluent(),
                "acks": "all",
                "enable.idempotence": True,
                "linger.ms": 0,
                "partitioner": "murmur2_random",
                "delivery.timeout.ms": _DELIVERY_MS,
                "log_level": 2,
            }
        )
