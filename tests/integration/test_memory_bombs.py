"""Batches that are small on the broker and thousands of MB once they are unpacked, while the real application runs."""

import time
from collections.abc import Callable

import pytest
from confluent_kafka import Producer

from settings import Settings
from tests.integration.application import Application
from tests.integration.test_dead_letters import dead_letters
from tests.integration.traffic import messages, scores, send, traffic
from tests.support.kafka import count_records

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


def test_batches_that_unpack_to_more_than_java_has_cost_themselves_alone(settings: Settings, start: Start) -> None:
    """Java may be killed by them once. The next start takes them in a few at a time, because it finds what was begun."""
    whole = messages(traffic(1_000, customers=100, seed=97))
    application = start(settings)
    send(settings, whole[:500])
    application.wait_for_commit()
    send_bombs(settings)
    send(settings, whole[500:])
    starts = 1

    def done() -> bool:
        nonlocal application, starts
        if not application.running:
            assert starts < 3, application.output[-3000:]
            starts += 1
            application = start(settings)
        scored, dead = (
            count_records(settings.kafka_bootstrap_servers, topic)
            for topic in (settings.scores_topic, settings.invalid_topic)
        )
        return scored >= 1_000 and dead >= BOMBS

    deadline = time.monotonic() + 400
    while not done():
        assert time.monotonic() < deadline, application.output[-3000:]
        time.sleep(1)
    print(f"{starts} starts")
    assert len(scores(settings)) == 1_000
    assert len(dead_letters(settings)) == BOMBS
    assert application.stop() == 0
