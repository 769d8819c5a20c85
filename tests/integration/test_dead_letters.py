"""Records that no dead letter can hold whole, and how they come through: once each, and nothing else is sent again."""

import base64
import hashlib
import random
from collections import Counter
from collections.abc import Callable

import msgspec
import pytest
from confluent_kafka import Producer
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.consumer.fetcher import ConsumerRecord

from settings import Settings
from tests.integration.traffic import Message, Place, messages, scores, send, traffic
from tests.support.kafka import read_topic

Detect = Callable[..., None]
KIB, MIB = 1 << 10, 1 << 20


def noise(size: int, seed: int = 1) -> bytes:
    """Bytes that no compression makes smaller."""
    return random.Random(seed).randbytes(size)


def limit(settings: Settings, topic: str, max_message_bytes: int) -> None:
    """Set how large a batch of records a topic takes."""
    wanted = ConfigResource(ConfigResourceType.TOPIC, topic, {"max.message.bytes": str(max_message_bytes)})
    with KafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap_servers) as admin:
        admin.alter_configs([wanted])


def send_one(
    settings: Settings, key: bytes | None, value: bytes | None, compression: str = "none", headers: bytes = b""
) -> Place:
    """Send one message, however large; returns where it is."""
    producer = Producer(
        {
            "bootstrap.servers": settings.kafka_bootstrap_servers,
            "compression.type": compression,
            "message.max.bytes": 100 * MIB,
            "enable.idempotence": True,
        }
    )
    places: list[Place] = []

    def delivered(error: object, message: object) -> None:
        assert error is None, error
        places.append((message.partition(), message.offset()))  # type: ignore[attr-defined]

    more = {"headers": [("large", headers)]} if headers else {}
    producer.produce(settings.transactions_topic, value, key, on_delivery=delivered, **more)
    assert producer.flush(60) == 0
    return places[0]


def dead_letters(settings: Settings) -> dict[Place, tuple[ConsumerRecord, dict[str, str]]]:
    """The dead letters by the place of their original, each with its headers; fails where a record has two."""
    found: dict[Place, tuple[ConsumerRecord, dict[str, str]]] = {}
    for record in read_topic(settings.kafka_bootstrap_servers, settings.invalid_topic):
        headers = {name: value.decode() for name, value in record.headers}
        place = int(headers["partition"]), int(headers["offset"])
        assert place not in found, f"two dead letters of {place}"
        found[place] = record, headers
    return found


def assert_each_scored_once(settings: Settings, sent: list[Message]) -> None:
    """Every one of these transactions has one score, and each anomaly one alert."""
    ids = Counter(msgspec.json.decode(value)["transaction_id"] for _, value in sent)
    for topic, wanted in (
        (settings.scores_topic, ids),
        (
            settings.alerts_topic,
            Counter(s["transaction_id"] for s in scores(settings).values() if s["is_anomaly"]),
        ),
    ):
        found = read_topic(settings.kafka_bootstrap_servers, topic)
        assert Counter(msgspec.json.decode(record.value)["transaction_id"] for record in found) == wanted


@pytest.mark.timeout(400)
def test_what_no_dead_letter_can_hold_is_truncated_and_nothing_else_is_sent_again(
    settings: Settings, detect_all: Detect
) -> None:
    whole_limit = MIB + 10 * KIB
    limit(settings, settings.transactions_topic, whole_limit)
    limit(settings, settings.invalid_topic, whole_limit)
    good = messages(traffic(600, customers=40, seed=3))
    originals: dict[Place, tuple[bytes | None, bytes | None]] = {}

    def large(key: bytes | None, value: bytes | None, compression: str = "none", headers: bytes = b"") -> Place:
        place = send_one(settings, key, value, compression, headers)
        originals[place] = key, value
        return place

    send(settings, good[:300])
    truncated = {
        large(b"C1", base64.b64encode(noise(1_000_000)), "gzip"),
        large(b"C1", noise(whole_limit - 80)),  # what is left is too little for a dead letter's headers
        large(noise(whole_limit - 80), None),
        large(noise(whole_limit - 80, 2), b"{}"),
        large(None, base64.b64encode(noise(1_000_000, 3)), "zstd"),
    }
    whole = {
        large(b"C2", bytes(40 * MIB), "lz4"),
        large(b"C3", noise(200 * KIB)),
        large(b"C4", b"no transaction", headers=noise(900 * KIB)),
        large(bytes(20 * MIB), bytes(20 * MIB), "lz4"),
    }
    send(settings, good[300:])

    detect_all(settings.model_copy(update={"max_offsets_per_trigger": 250}))

    found = dead_letters(settings)
    assert set(found) == truncated | whole
    for place, (key, value) in originals.items():
        record, headers = found[place]
        assert headers["topic"] == settings.transactions_topic
        assert "bytes; a transaction has at most 65,536" in headers["reason"] or value == b"no transaction"
        assert "folded" not in headers
        if place in whole:
            assert (record.key, record.value) == (key, value)
            assert "truncated" not in headers
        else:
            assert record.key == (None if key is None else key[:KIB])
            assert record.value == (None if value is None else value[: 16 * KIB])
            assert headers["truncated"] == "true"
            assert int(headers["original_key_bytes"]) == len(key or b"")
            assert int(headers["original_value_bytes"]) == len(value or b"")
            assert headers["sha256"] == hashlib.sha256(value or b"").hexdigest()
    assert_each_scored_once(settings, good)


def test_a_topic_that_takes_little_gets_what_fits_it(settings: Settings, detect_all: Detect) -> None:
    """The limit is lowered to less than a truncated dead letter usually has."""
    limit(settings, settings.invalid_topic, 2 * KIB)
    place = send_one(settings, noise(3 * KIB), noise(100 * KIB))
    detect_all(settings)
    record, headers = dead_letters(settings)[place]
    assert (len(record.key), len(record.value)) == (64, 256)
    assert headers["sha256"] == hashlib.sha256(noise(100 * KIB)).hexdigest()
