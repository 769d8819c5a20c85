"""How far each query is behind: Kafka is asked in the background, so that no look and no micro-batch waits for it."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple

from kafka.errors import KafkaError

from jobs.runtime.lag import ends, lag
from jobs.runtime.metering import families
from jobs.runtime.metering.arrivals import Arrivals
from jobs.runtime.metering.meter import Sample
from jobs.runtime.progress import Offsets, Progress
from settings import Settings

_log = logging.getLogger(__name__)

EVERY_SECONDS: Final = 10.0
KNOWN_SECONDS: Final = 60.0
"""So old may an answer of Kafka be; then lag is unknown, and its samples are left out."""


class _Behind(NamedTuple):
    records: int
    seconds: float


class LagWatch:
    """Of some queries. topic: whose growth is counted. progress: by query what reads how far it has come."""

    def __init__(self, settings: Settings, topic: str, progress: Mapping[str, Callable[[], Progress]]) -> None:
        self._settings = settings
        self._topic = topic
        self._progress = progress
        self._arrivals = Arrivals()
        self._first: Mapping[str, int] = {}
        self._arrived = 0
        self._behind: dict[str, _Behind] = {}
        self._answered: float | None = None
        self._up = False
        self._asked = False

    def start(self) -> None:
        """Begin to look, for as long as the process lives."""
        threading.Thread(target=self._serve, name="lag", daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                self.look()
            except Exception:  # noqa: BLE001  # what is only looked at must stop nothing
                _log.info("the lag can't be found", exc_info=True)
            time.sleep(EVERY_SECONDS)

    def look(self) -> None:
        """Ask Kafka once; without an answer the figures stay, and grow old."""
        read = {query: progress().read for query, progress in self._progress.items()}
        topics = sorted({self._topic, *(topic for of in read.values() for topic in of)})
        self._asked = True
        try:
            beginnings, found = ends(self._settings, topics)
        except (KafkaError, OSError):
            self._up = False
            return
        self._up = bool(found)
        if not found:
            return
        self._arrivals.take(time.monotonic(), found)
        self._count(found.get(self._topic, {}))
        self._behind = {
            query: _behind(of, beginnings, found, self._arrivals) for query, of in read.items() if _within(of, found)
        }
        self._answered = time.monotonic()

    def _count(self, found: Mapping[str, int]) -> None:
        """How far the topic has grown. Of a partition that is new, or of a topic made again, all that it has."""
        if self._answered is not None:
            self._arrived += sum(
                end - before if end >= (before := self._first.get(part, 0)) else end for part, end in found.items()
            )
        self._first = dict(found)

    def __call__(self) -> Iterator[Sample]:
        if self._asked:
            yield Sample(families.kafka_up, float(self._up))
        if self._answered is None:
            return
        yield Sample(families.arrived, self._arrived)
        if time.monotonic() - self._answered > KNOWN_SECONDS:
            return
        for query, behind in self._behind.items():
            yield Sample(families.lag_records, behind.records, (query,))
            yield Sample(families.lag_seconds, behind.seconds, (query,))


def _within(read: Offsets, ends: Offsets) -> bool:
    return any(topic in ends for topic in read)


def _behind(read: Offsets, beginnings: Offsets, ends: Offsets, arrivals: Arrivals) -> _Behind:
    own = {topic: ends[topic] for topic in read if topic in ends}
    records = lag(read, beginnings, own)
    return _Behind(records, arrivals.age(read) if records else 0.0)
