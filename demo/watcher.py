"""Watches Kafka in a thread of its own, and always has a snapshot of the run ready."""

import threading
import time
from types import TracebackType
from typing import Final, Self

from confluent_kafka import Message

from demo.errors import DemoError
from demo.kafka_reader import Reader
from demo.records import decode_label, decode_score, place_of_dead_letter
from demo.snapshot import Gauges, Snapshot
from demo.tally import Tally
from settings import Settings

SNAPSHOT_SECONDS: Final = 0.5
WAIT_SECONDS: Final = 0.1


class Watcher:
    """Reads `scores`, dead letters and the truth from their beginning, and how far `transactions` is.

    `snapshot` may be read at any time. `tally` may be read once the watcher was left.
    """

    def __init__(self, settings: Settings) -> None:
        self.snapshot: Snapshot = Snapshot()
        self.tally: Final = Tally()
        self._settings = settings
        self._gauges = Gauges()
        self._ended = threading.Event()
        self._failure: DemoError | None = None
        self._thread = threading.Thread(target=self._watch, name="watcher", daemon=True)

    def check(self) -> None:
        """Raises the DemoError that ended the watching, if one did."""
        if self._failure is not None:
            raise self._failure

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        names = self._settings.scores_topic, self._settings.invalid_topic, self._settings.truth_topic
        try:
            with Reader(self._settings.kafka_bootstrap_servers, *names) as reader:
                while not self._ended.is_set():
                    self._take_until(time.monotonic() + SNAPSHOT_SECONDS, reader)
                    arrived = sum(reader.ends(self._settings.transactions_topic).values())
                    self.snapshot = self._gauges.read(time.monotonic(), arrived, self.tally)
        except DemoError as error:
            self._failure = error

    def _take_until(self, deadline: float, reader: Reader) -> None:
        while time.monotonic() < deadline and not self._ended.is_set():
            for message in reader.read(WAIT_SECONDS):
                self._take(message)

    def _take(self, message: Message) -> None:
        topic, value = message.topic(), message.value()
        if topic == self._settings.scores_topic and value is not None:
            latency_ms = self.tally.score(decode_score(value), message.timestamp()[1])
            if latency_ms is not None:
                self._gauges.latency(time.monotonic(), latency_ms)
        elif topic == self._settings.truth_topic and value is not None:
            self.tally.truth(decode_label(value))
        elif topic == self._settings.invalid_topic:
            self.tally.dead_letter(*place_of_dead_letter(message.headers()))
