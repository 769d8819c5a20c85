"""Sends events of the system to their topic, without waiting: whoever reports one goes on at once, whatever Kafka does."""

import atexit
import logging
import threading
import time
from typing import Any, Final, Protocol

import msgspec
from confluent_kafka import KafkaError, Message, Producer

from messaging.config import KafkaConfig, KafkaSettings

_log = logging.getLogger(__name__)

_KEPT_MS: Final = 3_600_000
"""So long an event is kept, and tried again, while Kafka is unavailable."""
_MOST_KEPT: Final = 1_000
_EXIT_SECONDS: Final = 3.0
"""So long a process that ends waits at most for its last events."""
_DOWN_SECONDS: Final = 1.0
"""So long it waits where no broker answers: of a name with several addresses the first may refuse, and the next one answer."""
_REFUSED: Final = (KafkaError._AUTHENTICATION, KafkaError._SSL)


class EventSettings(KafkaSettings, Protocol):
    """The settings that say where events go; `settings.Settings` has them."""

    @property
    def events_topic(self) -> str: ...


class Reported(Protocol):
    """An event: a struct of msgspec, `ml.schema.Event`."""

    @property
    def kind(self) -> str: ...
    @property
    def subject(self) -> str: ...


class _Outbox:
    """The producer of one cluster, which keeps events until a broker has them."""

    def __init__(self, kafka: KafkaConfig) -> None:
        self._down_since: float | None = None
        self._said = False
        self._producer = Producer(
            {
                **kafka.for_confluent(),
                "acks": "all",
                "enable.idempotence": True,
                "linger.ms": 0,
                "reconnect.backoff.max.ms": 1_000,
                "message.timeout.ms": _KEPT_MS,
                "queue.buffering.max.messages": _MOST_KEPT,
                "log_level": 2,
                "error_cb": self._wrong,
            }
        )

    def send(self, topic: str, event: Reported) -> None:
        """Take an event. Raises BufferError where too many wait already, KafkaException for a topic that can't be."""
        key, value = event.subject.encode(), msgspec.json.encode(event)
        self._producer.produce(topic, value, key, on_delivery=self._answered)
        self._producer.poll(0)

    def drain(self, seconds: float) -> int:
        """Wait at most so long until brokers have all. Returns how many they do not have."""
        until = time.monotonic() + seconds
        while len(self._producer) and time.monotonic() < min(until, (self._down_since or until) + _DOWN_SECONDS):
            self._producer.flush(0.05)
        return len(self._producer)

    def _wrong(self, error: KafkaError) -> None:
        if error.code() == KafkaError._ALL_BROKERS_DOWN:
            self._down_since = time.monotonic()
        if error.code() in _REFUSED and not self._said:
            self._said = True
            _log.warning("events are kept, since Kafka can't be used: %s", error.str())

    def _answered(self, error: KafkaError | None, message: Message) -> None:
        if error is None:
            self._down_since, self._said = None, False
        else:
            _log.warning("an event can't be sent to %s: %s", message.topic(), error.str())


_outboxes: dict[str, _Outbox] = {}
_lock: Final = threading.Lock()


def publish(settings: EventSettings, event: Reported) -> None:
    """Send an event, in the background: neither waits nor raises. Where Kafka is unavailable it is tried again for an hour.

    The key is the event's subject, so that what is said of one subject stays in order. What can't be sent is logged.
    """
    try:
        with _lock:
            kafka = KafkaConfig.from_settings(settings)
            outbox = _outboxes.get(repr(kafka)) or _outboxes.setdefault(repr(kafka), _Outbox(kafka))
        outbox.send(settings.events_topic, event)
    except Exception as error:  # noqa: BLE001  # an event is beside the work of whoever reports it
        _log.warning("the event %s of %s can't be sent: %s", _kind(event), _subject(event), error)


def drain(seconds: float = _EXIT_SECONDS) -> int:
    """Wait until Kafka has all events, at most so long for each cluster, less where no broker answers. Returns how
    many it does not have. A process that ends calls it by itself."""
    return sum(outbox.drain(seconds) for outbox in list(_outboxes.values()))


def _kind(event: Any) -> str:
    return str(getattr(event, "kind", "?"))[:64]


def _subject(event: Any) -> str:
    return str(getattr(event, "subject", "?"))[:256]


def _at_exit() -> None:
    left = drain()
    if left:
        _log.info("%d events were not sent: no broker took them in time", left)


atexit.register(_at_exit)
