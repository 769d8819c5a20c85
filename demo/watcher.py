"""Watches Kafka in a thread of its own, and always has a snapshot of the run ready."""

import time
from contextlib import suppress
from threading import Event
from typing import Final

from confluent_kafka import Message

from demo.records import decode_label, decode_score, place_of_dead_letter
from demo.snapshot import Gauges, Snapshot
from demo.tally import Tally
from messaging.config import KafkaConfig
from messaging.headers import headers_of
from messaging.reader import Reader
from ml.schema import Unreadable
from programs.background import Background
from settings import Settings

SNAPSHOT_SECONDS: Final = 0.5
WAIT_SECONDS: Final = 0.1


class Watcher(Background):
    """Reads `scores`, early alerts, dead letters and the truth from their beginning, and how far `transactions` is.

    `snapshot` may be read at any time. `tally` may be read once the watcher was left.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.snapshot: Snapshot = Snapshot()
        self.tally: Final = Tally()
        self._settings = settings
        self._gauges = Gauges()

    def work(self, stopped: Event) -> None:
        settings = self._settings
        names = settings.scores_topic, settings.early_alerts_topic, settings.invalid_topic, settings.truth_topic
        with Reader(KafkaConfig.from_settings(settings), *names) as reader:
            while not stopped.is_set():
                self._take_until(time.monotonic() + SNAPSHOT_SECONDS, reader, stopped)
                arrived = sum(reader.ends(settings.transactions_topic).values())
                self.snapshot = self._gauges.read(time.monotonic(), arrived, self.tally)

    def _take_until(self, deadline: float, reader: Reader, stopped: Event) -> None:
        while time.monotonic() < deadline and not stopped.is_set():
            for message in reader.read(WAIT_SECONDS):
                with suppress(Unreadable):  # a foreign record, which the job's log reports
                    self._take(message)

    def _take(self, message: Message) -> None:
        topic, value = message.topic(), message.value()
        if topic == self._settings.scores_topic and value is not None:
            latency_ms = self.tally.score(decode_score(value), message.timestamp()[1])
            if latency_ms is not None:
                self._gauges.latency(time.monotonic(), latency_ms)
        elif topic == self._settings.early_alerts_topic and value is not None:
            self.tally.early_alert(decode_score(value), message.timestamp()[1])
        elif topic == self._settings.truth_topic and value is not None:
            self.tally.truth(decode_label(value))
        elif topic == self._settings.invalid_topic:
            self.tally.dead_letter(*place_of_dead_letter(headers_of(message)))
