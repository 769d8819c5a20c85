"""Batches that are small on the broker and thousands of MB once they are unpacked, while the real application runs."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition

from settings import Settings
from tests.integration.application import Application
from tests.integration.traffic import messages, scores, send, traffic
from tests.support.kafka import count_records
from torture.audit import ends_of
from torture.checkpoint import reached

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

Start = Callable[..., Application]
BOMBS = 3_000
BOMB_BYTES = 1_000_000


def send_bombs(settings: Settings) -> None:
    """Each a value of zeros: together some MB on the broker, and twice Java's heap unpacked."""
    producer = Producer(
        {
            "bootstrap.servers": settings.kafka_bootstrap_servers,
            "compression.type": "zstd",
            "message.max.bytes": 1_000_000_000,
            "batch.size": 1_000_000_000,
            "linger.ms": 500,
            "queue.buffering.max.kbytes": 256 << 10,
        }
    )
    zeros = bytes(BOMB_BYTES)
    for number in range(BOMBS):
        while True:
            try:
                producer.produce(settings.transactions_topic, zeros, partition=number % 2)
                break
            except BufferError:
                producer.poll(0.1)
    assert producer.flush(120) == 0


def dead_letters(settings: Settings) -> set[tuple[int, int]]:
    """Of which records there is one; they are read one after the other, for together they are as large as the bombs."""
    servers, topic, found = settings.kafka_bootstrap_servers, settings.invalid_topic, set()
    consumer = Consumer({"bootstrap.servers": servers, "group.id": topic, "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in range(4)])
    for _ in range(count_records(servers, topic)):
        record = consumer.poll(30)
        assert record is not None
        assert record.error() is None
        headers = dict(record.headers() or [])
        found.add((int(headers["partition"]), int(headers["offset"])))
    consumer.close()
    return found


def test_batches_that_unpack_to_more_than_java_has_cost_themselves_alone(settings: Settings, start: Start) -> None:
    """Java may be ended by them twice. The next start takes them in a few at a time, because it finds what was begun."""
    whole = messages(traffic(1_000, customers=100, seed=97))
    application = start(settings)
    send(settings, whole[:500])
    application.wait_for_commit()
    send_bombs(settings)
    send(settings, whole[500:])
    starts, ends = 1, ends_of(settings, settings.transactions_topic)

    def done() -> bool:
        nonlocal application, starts
        if not application.running:
            assert starts < 3, application.output[-3000:]
            starts += 1
            application = start(settings)
        return reached(Path(settings.checkpoint) / "detect", ends)

    deadline = time.monotonic() + 400
    while not done():
        assert time.monotonic() < deadline, application.output[-3000:]
        time.sleep(1)
    print(f"{starts} starts")
    assert application.stop() == 0
    scored, dead = set(scores(settings)), dead_letters(settings)
    assert (len(scored), len(dead), len(scored | dead)) == (1_000, BOMBS, 1_000 + BOMBS)
