"""A thread that works in rounds, and begins again after any failure, with a pause that grows."""

import logging
import threading
from abc import ABC, abstractmethod
from typing import Final

from messaging.config import KafkaConfig
from page.feed.topics import in_words
from page.health import Health

_log = logging.getLogger(__name__)

_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 10.0


class Worker(ABC):
    """Calls `session` again and again until `stop`; what it raises is reported, and never ends anything else."""

    def __init__(self, name: str, health: Health, kafka: KafkaConfig) -> None:
        self.name = name
        self.health = health
        self.kafka = kafka
        self.stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @abstractmethod
    def session(self) -> None:
        """Connect and work, until `stopped` is set or something fails."""

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, seconds: float = 10.0) -> None:
        """End, and wait so long for what is under way."""
        self.stopped.set()
        if self._thread.is_alive():
            self._thread.join(seconds)

    def works(self) -> None:
        """To be called by a session after each round that went well."""
        self._pause = _FIRST_PAUSE
        self.health.report(self.name)

    def _run(self) -> None:
        self._pause = _FIRST_PAUSE
        while not self.stopped.is_set():
            try:
                self.session()
            except Exception as error:  # noqa: BLE001  # Kafka or the store is unavailable, or an error of ours: again, later
                self.health.report(self.name, in_words(error, self.kafka))
                _log.info("%s begins again in %.1f s", self.name, self._pause, exc_info=error)
                self.stopped.wait(self._pause)
                self._pause = min(_LONGEST_PAUSE, 2 * self._pause)
