"""The newest payments of all customers, kept in memory: what the page knows of the past where there is no lake."""

import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Final, cast

import msgspec
from confluent_kafka import Consumer, TopicPartition

from messaging.config import KafkaConfig
from page.feed.topics import ANSWER_SECONDS, assign, consumer, sound
from page.feed.worker import Worker
from page.health import Health
from page.payment import Payment
from page.search.kept_scores import KeptScores
from settings import Settings

MOST: Final = 200_000
"""Payments that are kept, the newest."""

MOST_A_CUSTOMER: Final = 500

_AT_ONCE: Final = 1_000
_MOST_A_SECOND: Final = 4_000
"""More are not read: the page must not take the CPU that judges. Then the oldest of what waits are left out."""
_MOST_BEHIND: Final = 20_000


_SEARCH: Final = "search"
_decode: Final = msgspec.json.Decoder(Payment).decode


class Recent:
    """The newest payments, bounded. Safe to use by several threads."""

    def __init__(self, most: int = MOST) -> None:
        self._lock = threading.Lock()
        self._all: deque[Payment] = deque(maxlen=most)
        self._of: dict[str, deque[Payment]] = {}
        self.seen = 0
        self.left_out = 0

    def add(self, payment: Payment) -> None:
        """Take in one payment; the oldest leaves where there are too many."""
        with self._lock:
            if len(self._all) == self._all.maxlen:
                self._forget(self._all[0])
            self._all.append(payment)
            self._of.setdefault(payment.customer_id, deque(maxlen=MOST_A_CUSTOMER)).append(payment)
            self.seen += 1

    def of_customer(self, customer_id: str) -> list[Payment]:
        """A customer's newest payments, the oldest of them first."""
        with self._lock:
            return list(self._of.get(customer_id, ()))

    def newest(self) -> Iterator[Payment]:
        """All that are kept, the newest first."""
        with self._lock:
            kept = list(self._all)
        return reversed(kept)

    def newest_model(self) -> int | None:
        """The version of the model that judged the newest payment; None before there is one."""
        with self._lock:
            return self._all[-1].model_version if self._all else None

    def _forget(self, payment: Payment) -> None:
        own = self._of.get(payment.customer_id)
        if own and own[0] is payment:
            own.popleft()
        if not own:
            self._of.pop(payment.customer_id, None)


class RecentFeed(Worker):
    """Reads the newest of `scores` into `Recent`: begins some way before the end, and keeps to a bounded rate."""

    def __init__(
        self, settings: Settings, recent: Recent, kept: KeptScores, health: Health, pace: Callable[[float], None]
    ) -> None:
        super().__init__("payments", health, KafkaConfig.from_settings(settings))
        self._kept = kept
        self._topic = settings.scores_topic
        self._recent = recent
        self._pace = pace
        self._next: dict[int, int] = {}

    def session(self) -> None:
        """See `Worker`."""
        with closing(consumer(self.kafka)) as client:
            assign(client, {self._topic: self._next})
            ends: dict[int, int] = {}
            for part in client.assignment():
                low, high = client.get_watermark_offsets(part, ANSWER_SECONDS)
                self._next[part.partition] = max(low, self._next.get(part.partition, 0), high - _MOST_BEHIND)
                ends[part.partition] = high
            client.assign([TopicPartition(self._topic, *place) for place in self._next.items()])
            self._try(lambda: self._kept.begin(ends))
            while not self.stopped.is_set():
                began = time.monotonic()
                self._round(client)
                self.works()
                self._pace(max(0.0, _AT_ONCE / _MOST_A_SECOND - (time.monotonic() - began)))

    def _round(self, client: Consumer) -> None:
        messages = sound(client.consume(_AT_ONCE, 0.2))
        payments = []
        for message in messages:
            partition, offset = cast(tuple[int, int], (message.partition(), message.offset()))
            self._next[partition] = offset + 1
            try:
                payments.append(_decode(message.value() or b""))
            except Exception:  # noqa: BLE001  # bytes of others: foreign records are left out
                continue
        for payment in payments:
            self._recent.add(payment)
        self._try(lambda: self._kept.add(payments))
        if len(messages) == _AT_ONCE:
            self._leave_out(client)

    def _try(self, keep: Callable[[], None]) -> None:
        """What is kept for searches; that it can't be done stops nothing else."""
        try:
            keep()
        except (sqlite3.Error, OSError) as error:
            self.health.report(_SEARCH, f"what goes by is not kept for searches: {error}")
        else:
            self.health.report(_SEARCH)

    def _leave_out(self, client: Consumer) -> None:
        """Go on from near the end where too much waits."""
        for partition, offset in list(self._next.items()):
            high = client.get_watermark_offsets(TopicPartition(self._topic, partition), cached=True)[1]
            if high - offset > _MOST_BEHIND:
                self._recent.left_out += high - _AT_ONCE - offset
                self._next[partition] = high - _AT_ONCE
                client.seek(TopicPartition(self._topic, partition, high - _AT_ONCE))
