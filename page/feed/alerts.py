"""Takes both topics of alerts into the store, from where it was left."""

import time
from collections.abc import Callable
from contextlib import closing
from typing import Final, cast

from confluent_kafka import Message

from messaging.config import KafkaConfig
from ml.schema import Unreadable
from page.feed.topics import assign, consumer, sound, topic_ids
from page.feed.worker import Worker
from page.health import Health
from page.store.alert import alert_of
from page.store.database import Database
from page.store.intake import Read, offsets, take_in
from settings import Settings

_AT_ONCE: Final = 500
_WAIT_SECONDS: Final = 0.2
_LOOK_AGAIN_SECONDS: Final = 30.0
"""After so long the topics are looked up again: partitions may have been added, or a topic made again."""


class AlertFeed(Worker):
    """The alerts of the job and of the service. unreadable: how many records were none."""

    def __init__(self, settings: Settings, database: Database, health: Health, clock: Callable[[], int]) -> None:
        super().__init__("alerts", health, KafkaConfig.from_settings(settings))
        self._topics = (settings.alerts_topic, settings.early_alerts_topic)
        self._log_topic = settings.transactions_topic
        self._database = database
        self._clock = clock
        self.unreadable = 0

    def session(self) -> None:
        """See `Worker`."""
        ids = topic_ids(self.kafka, (*self._topics, self._log_topic))
        keys = {topic: f"{topic}#{ids[topic]}" for topic in self._topics}
        with self._database.read() as connection:
            places = {topic: offsets(connection, key) for topic, key in keys.items()}
        with closing(consumer(self.kafka)) as client:
            assign(client, places)
            until = time.monotonic() + _LOOK_AGAIN_SECONDS
            while not self.stopped.is_set() and time.monotonic() < until:
                messages = sound(client.consume(_AT_ONCE, _WAIT_SECONDS))
                if messages:
                    batch = [self._read(message, keys) for message in messages]
                    with self._database.begin() as connection:
                        take_in(connection, ids[self._log_topic], batch, self._clock())
                self.works()

    def _read(self, message: Message, keys: dict[str, str]) -> Read:
        topic, partition, offset = cast(tuple[str, int, int], (message.topic(), message.partition(), message.offset()))
        at = message.timestamp()[1]
        try:
            alert, lane = alert_of(message.value())
        except Unreadable:
            self.unreadable += 1
            return Read(keys[topic], partition, offset, at, "spark", None)
        return Read(keys[topic], partition, offset, at, lane, alert)
