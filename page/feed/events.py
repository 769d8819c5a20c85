"""The newest events of the system, kept in memory: promotions, rollbacks, drift, stalls."""

import threading
from collections import deque
from contextlib import closing
from typing import Final, cast

from confluent_kafka import TopicPartition

from messaging.config import KafkaConfig
from ml.schema import Event, Reader, Unreadable
from page.feed.topics import ANSWER_SECONDS, TopicMissing, assign, consumer, sound
from page.feed.worker import Worker
from page.health import Health
from settings import Settings

MOST: Final = 50
_AT_ONCE: Final = 500
_WAIT_SECONDS: Final = 1.0
_LOOK_AGAIN_SECONDS: Final = 10.0


class NewestEvents:
    """Safe to use by several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._events: deque[Event] = deque(maxlen=MOST)

    def add(self, event: Event) -> None:
        """Take in one; the oldest leaves where there are too many."""
        with self._lock:
            self._events.append(event)

    def newest(self) -> list[Event]:
        """All that are kept, the newest first."""
        with self._lock:
            return sorted(self._events, key=lambda event: event.at, reverse=True)


class EventFeed(Worker):
    """Reads the topic of events from some way before its end; that there is none is no trouble of the page's."""

    def __init__(self, settings: Settings, events: NewestEvents, health: Health) -> None:
        super().__init__("events", health, KafkaConfig.from_settings(settings))
        self._topic = settings.events_topic
        self._events = events
        self._read = Reader(Event).read
        self._next: dict[int, int] = {}

    def session(self) -> None:
        """See `Worker`."""
        try:
            self._session()
        except TopicMissing:
            self.works()
            self.stopped.wait(_LOOK_AGAIN_SECONDS)

    def _session(self) -> None:
        with closing(consumer(self.kafka)) as client:
            assign(client, {self._topic: self._next})
            for part in client.assignment():
                low, high = client.get_watermark_offsets(part, ANSWER_SECONDS)
                self._next[part.partition] = max(low, self._next.get(part.partition, 0), high - MOST)
            client.assign([TopicPartition(self._topic, *place) for place in self._next.items()])
            while not self.stopped.is_set():
                for message in sound(client.consume(_AT_ONCE, _WAIT_SECONDS)):
                    partition, offset = cast(tuple[int, int], (message.partition(), message.offset()))
                    self._next[partition] = offset + 1
                    try:
                        self._events.add(self._read(message.value()))
                    except Unreadable:  # anybody may write to a topic
                        continue
                self.works()
