"""`python -m torture.feed`: traffic at a steady rate, each record stamped with the time that it was due, some of it hostile.

It is a process of its own, so that it keeps its pace whatever the others do. Its status is a file, written again each second.
"""

import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import numpy as np
import typer
from confluent_kafka import KafkaException, Producer

from messaging.config import KafkaConfig
from ml.schema import Label, Transaction
from settings import Settings
from torture.hostile import RARE, kinds
from torture.traffic import Message, Payments, message

HOSTILE: Final = 0.05
TICK_SECONDS: Final = 0.002
LARGEST: Final = 64 << 20
HUGE_EVERY_SECONDS: Final = 20.0
CORPUS: Final = Path("tests/fuzz/corpus")


class Status(msgspec.Struct):
    """What was sent by now; hostile: messages by kind; behind_ms: how late the feed ever was; failed: not delivered."""

    sent: int = 0
    hostile: dict[str, int] = {}
    in_transactions: int = 0
    aborted: int = 0
    labels: int = 0
    behind_ms: float = 0.0
    failed: int = 0
    ended: bool = False


class Feed:
    """Sends to the transactions topic at a rate, and labels beside it."""

    def __init__(self, servers: str, topic: str, labels_topic: str, seed: int) -> None:
        self._topic, self._labels_topic = topic, labels_topic
        self._rng = np.random.default_rng(seed)
        self._payments = Payments(seed)
        self._kinds = kinds(CORPUS)
        self.hostile: Counter[str] = Counter()
        self.status = Status()
        self._producer = Producer(producer_options(servers) | {"enable.idempotence": True})

    def run(self, rate: float, seconds: float, write: Any) -> None:
        """Send for so long; `write` is called with the status once a second."""
        began, next_write, next_huge = time.time(), 0.0, HUGE_EVERY_SECONDS
        while (elapsed := time.time() - began) < seconds:
            due = int(elapsed * rate) - self.status.sent
            if due <= 0:
                time.sleep(TICK_SECONDS)
            self.status.behind_ms = max(self.status.behind_ms, due * 1000 / rate)
            while self.status.sent < elapsed * rate - 1:
                at = began + self.status.sent / rate
                self._next(int(at * 1000), (at - began) / 60)
            if elapsed >= next_huge:
                next_huge += HUGE_EVERY_SECONDS
                self._hostile(*next(iter(RARE.items())), int(time.time() * 1000), elapsed / 60)
            self._producer.poll(0)
            if elapsed >= next_write:
                next_write = elapsed + 1
                self.status.hostile = dict(self.hostile)
                write(self.status)
        self.status.failed += self._producer.flush(150)
        self.status.hostile = dict(self.hostile)
        self.status.ended = True
        write(self.status)

    def _next(self, due_ms: int, minute: float) -> None:
        # Some kinds are many messages at once: the share is kept by messages, and the moments are random.
        if self.hostile.total() < HOSTILE * self.status.sent and self._rng.random() < 2 * HOSTILE:
            names = list(self._kinds)
            name = names[int(self._rng.integers(len(names)))]
            self._hostile(name, self._kinds[name], due_ms, minute)
            return
        good = self._payments.next(due_ms, minute)
        self._put(message(good), due_ms)
        if self._rng.random() < 0.02:
            self._label(good)

    def _hostile(self, name: str, make: Any, due_ms: int, minute: float) -> None:
        for made in make(self._payments.next(due_ms, minute), self._rng):
            self._put(made, due_ms)
            self.hostile[name] += 1

    def _label(self, good: Transaction) -> None:
        fraud = bool(self._rng.random() < 0.3)
        label = Label(good.transaction_id, good.customer_id, fraud, good.event_time, "chargeback")
        value = msgspec.json.encode(label) if self._rng.random() > HOSTILE else b"\xff{no label"
        self._produce(self._labels_topic, value, good.customer_id.encode(), int(time.time() * 1000))
        self.status.labels += 1

    def _put(self, made: Message, due_ms: int) -> None:
        key, value = made
        self._produce(self._topic, value, key, due_ms)
        self.status.sent += 1

    def _produce(self, topic: str, value: bytes | None, key: bytes | None, time_ms: int) -> None:
        while True:
            try:
                self._producer.produce(topic, value, key, timestamp=time_ms, on_delivery=self._delivered)
                return
            except BufferError:
                self._producer.poll(0.05)

    def _delivered(self, error: Any, _: Any) -> None:
        self.status.failed += error is not None


class Transactions(threading.Thread):
    """Kafka transactions beside the feed: most are aborted, and the committed copy of the same payments follows."""

    def __init__(self, servers: str, topic: str, seed: int, status: Status) -> None:
        super().__init__(daemon=True)
        self._servers, self._topic, self._status = servers, topic, status
        self._rng = np.random.default_rng(seed + 1)
        self._seed = seed
        self.ended = threading.Event()

    def run(self) -> None:
        number = 0
        began = time.time()
        while not self.ended.is_set():
            # A producer that has failed is replaced, and fences the transaction that it left open.
            own = {"transactional.id": f"torture-{self._seed}", "transaction.timeout.ms": 15_000}
            producer = Producer(producer_options(self._servers) | own | {"delivery.timeout.ms": 15_000})
            with suppress(KafkaException):
                producer.init_transactions(20)
                while not self.ended.wait(1.0):
                    number += 1
                    self._one(producer, number, (time.time() - began) / 60)
            self.ended.wait(1.0)

    def _one(self, producer: Producer, number: int, minute: float) -> None:
        now = int(time.time() * 1000)
        payments = Payments(self._seed + 7 * number)
        made = [payments.next(now, minute) for _ in range(10)]
        messages = [message(msgspec.structs.replace(p, transaction_id=f"K{number}-{p.transaction_id}")) for p in made]
        outcomes = ("abort", "commit") if self._rng.random() < 0.5 else ("abort",)
        for outcome in outcomes:
            producer.begin_transaction()
            for key, value in messages:
                producer.produce(self._topic, value, key, timestamp=now)
            if outcome == "abort":
                producer.flush(10)  # so that what is aborted has really been on the topic
                producer.abort_transaction(20)
                self._status.aborted += len(messages)
            else:
                producer.commit_transaction(20)
                self._status.in_transactions += len(messages)


def producer_options(servers: str) -> dict[str, Any]:
    return {
        **KafkaConfig(servers).for_confluent(),
        "partitioner": "murmur2_random",
        "acks": "all",
        "compression.type": "lz4",
        "linger.ms": 5,
        "message.max.bytes": LARGEST,
        "queue.buffering.max.messages": 1_000_000,
        "delivery.timeout.ms": 300_000,
        "topic.metadata.refresh.interval.ms": 5_000,
        "log_level": 2,
    }


def send_some(settings: Settings, count: int, seed: int) -> None:
    """Send so many ordinary payments at once, for a job to begin with. Raises RuntimeError where Kafka does not take them."""
    producer = Producer(producer_options(settings.kafka_bootstrap_servers))
    payments, now = Payments(seed), int(time.time() * 1000)
    for _ in range(count):
        payment = payments.next(now, 0.0)
        key, value = message(msgspec.structs.replace(payment, transaction_id=f"W{payment.transaction_id}"))
        producer.produce(settings.transactions_topic, value, key, timestamp=now)
    if producer.flush(60):
        raise RuntimeError("Kafka did not take the first payments")


def main(
    servers: Annotated[str, typer.Option()],
    topic: Annotated[str, typer.Option()],
    labels_topic: Annotated[str, typer.Option()],
    rate: Annotated[float, typer.Option()],
    seconds: Annotated[float, typer.Option()],
    seed: Annotated[int, typer.Option()],
    status: Annotated[Path, typer.Option(help="where to write what was sent, as JSON")],
) -> None:
    """Send until the time is over."""
    feed = Feed(servers, topic, labels_topic, seed)
    transactions = Transactions(servers, topic, seed, feed.status)
    transactions.start()

    def write(now: Status) -> None:
        part = status.with_suffix(".part")
        part.write_bytes(msgspec.json.encode(now))
        part.replace(status)

    try:
        feed.run(rate, seconds, write)
    finally:
        transactions.ended.set()
        transactions.join(60)
        write(feed.status)


if __name__ == "__main__":
    typer.run(main)
