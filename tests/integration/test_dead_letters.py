"""Records that no dead letter can hold whole, and how they come through: once each, and nothing else is sent again."""

import base64
import hashlib
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from confluent_kafka import Producer
from kafka.consumer.fetcher import ConsumerRecord
from pyspark.errors import StreamingQueryException
from pyspark.sql import SparkSession

from jobs import detect
from jobs.dead_letters import DeadLetters
from jobs.many_dead_letters import ENOUGH
from jobs.runtime.gate import Gate
from settings import Settings
from tests.integration.traffic import Message, Place, messages, scores, send, traffic
from tests.support.kafka import alter_topic, read_topic

Detect = Callable[..., None]
KIB, MIB = 1 << 10, 1 << 20


def noise(size: int, seed: int = 1) -> bytes:
    """Bytes that no compression makes smaller."""
    return random.Random(seed).randbytes(size)


def limit(settings: Settings, topic: str, max_message_bytes: int) -> None:
    """Set how large a batch of records a topic takes."""
    alter_topic(settings.kafka_bootstrap_servers, topic, max_message_bytes=max_message_bytes)


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
        large(b"C2", bytes(40 * MIB), "lz4"),  # it would fit as it came, and be 40 MB in whoever reads it
        large(bytes(20 * MIB), bytes(20 * MIB), "lz4"),
    }
    whole = {
        large(b"C3", noise(200 * KIB)),
        large(b"C4", b"no transaction", headers=noise(900 * KIB)),
        large(None, bytes(MIB), "lz4"),
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


def payment(number: int, merchant_bytes: int) -> Message:
    made = traffic(1, customers=1, seed=number)[0]
    made.merchant_id = random.Random(number).randbytes(merchant_bytes // 2).hex()
    return made.customer_id.encode(), msgspec.json.encode(made)


@pytest.mark.timeout(400)
def test_a_score_that_its_topic_does_not_take_is_a_dead_letter_that_says_that_it_was_folded(
    settings: Settings, detect_all: Detect
) -> None:
    """A narrow topic of scores, a narrower one of alerts, a key that is the customer's and one that is long and is not."""
    limit(settings, settings.scores_topic, 12 * KIB)
    limit(settings, settings.alerts_topic, 8 * KIB)
    good = messages(traffic(300, customers=20, seed=4))
    large = payment(1, 20 * KIB)
    wrong_key = (noise(20 * KIB, 5), payment(2, 100)[1])
    control = traffic(1, customers=1, seed=6)[0]
    control.merchant_id = "\x00" * 3_000  # six bytes each in JSON
    send(settings, good[:150])
    places = {send_one(settings, *message) for message in (large, wrong_key, (b"C1", msgspec.json.encode(control)))}
    send(settings, good[150:])

    detect_all(settings)

    found = dead_letters(settings)
    assert set(found) == places
    for _, headers in found.values():
        assert headers["folded"] == "true"
        assert "its score has" in headers["reason"]
        assert "truncated" not in headers
    assert_each_scored_once(settings, good)
    assert places.isdisjoint(scores(settings))


def test_a_dead_letter_that_is_too_large_for_its_topic_is_truncated_though_it_was_small_enough_to_be_read(
    settings: Settings, detect_all: Detect
) -> None:
    limit(settings, settings.invalid_topic, 20 * KIB)
    good = messages(traffic(50, customers=5, seed=7))
    send(settings, good)
    place = send_one(settings, b"C1", noise(30 * KIB))
    detect_all(settings)
    ((at, (record, headers)),) = dead_letters(settings).items()
    assert at == place
    assert headers["truncated"] == "true"
    assert "not UTF-8" in headers["reason"] or "not JSON" in headers["reason"]
    assert record.value == noise(30 * KIB)[: 16 * KIB]
    assert_each_scored_once(settings, good)


@pytest.mark.timeout(400)
def test_limits_that_are_lowered_while_the_query_runs_cost_one_attempt(
    settings: Settings, spark: SparkSession, detect_all: Detect
) -> None:
    good = messages(traffic(50, customers=5, seed=8))
    send(settings, good)
    spark.conf.set("spark.sql.shuffle.partitions", str(settings.state_partitions))
    gate = Gate()
    query = detect.start(spark, settings, gate)
    try:
        query.processAllAvailable()
        for topic in (settings.scores_topic, settings.alerts_topic):
            limit(settings, topic, 8 * KIB)
        place = send_one(settings, *payment(3, 30 * KIB))
        with pytest.raises(StreamingQueryException):
            query.processAllAvailable()
    finally:
        query.stop()
        gate.close()
    detect_all(settings)
    ((at, (_, headers)),) = dead_letters(settings).items()
    assert (at, headers["folded"]) == (place, "true")
    assert_each_scored_once(settings, good)


@pytest.mark.timeout(400)
def test_a_flood_of_large_messages_is_written_by_spark_and_only_what_may_not_fit_one_by_one(
    settings: Settings, detect_all: Detect, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit(settings, settings.transactions_topic, 2 * MIB)
    limit(settings, settings.invalid_topic, MIB)
    one_by_one: list[Place] = []
    write = DeadLetters.write

    def counted(self: DeadLetters, found: Any, stopping: Any) -> None:
        one_by_one.extend(found)
        write(self, found, stopping)

    monkeypatch.setattr(DeadLetters, "write", counted)
    good = messages(traffic(400, customers=40, seed=3))
    flood: list[Message] = [(None if k % 3 else b"C%d" % k, noise(70 * KIB + 900 * (k % 50), k)) for k in range(ENOUGH)]
    flood += [(noise(100 * KIB, 1), None), (noise(70 * KIB, 2), b""), (b"", bytes(900 * KIB))]
    send(settings, [message for k in range(200) for message in (good[k], flood[k])])
    unsure = {send_one(settings, b"C1", noise(MIB - 300)), send_one(settings, b"C2", bytes(9 * MIB), "lz4")}
    send(settings, flood[200:] + good[200:])
    there = {
        (r.partition, r.offset): r for r in read_topic(settings.kafka_bootstrap_servers, settings.transactions_topic)
    }

    detect_all(settings)

    assert set(one_by_one) == unsure
    found = dead_letters(settings)
    assert len(found) == len(flood) + len(unsure)
    for place, (record, headers) in found.items():
        original = there[place]
        assert headers["kafka_time"] == str(original.timestamp)
        assert headers["reason"].startswith(
            f"the message has {len(original.key or b'') + len(original.value or b''):,} b"
        )
        if "truncated" not in headers:
            assert (record.key, record.value) == (original.key, original.value)
            assert set(headers) == {"reason", "topic", "partition", "offset", "kafka_time"}
    assert {place for place, (_, headers) in found.items() if "truncated" in headers} == unsure
    assert_each_scored_once(settings, good)
