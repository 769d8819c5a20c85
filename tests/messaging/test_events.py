"""Events reach their topic, and nothing that Kafka does holds up whoever reports one."""

import time
from datetime import UTC, datetime

import pytest

from messaging import events
from messaging.config import KafkaConfig
from messaging.events import publish
from messaging.reader import Reader
from ml.schema import Event
from ml.schema import Reader as Records
from settings import Settings

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture(autouse=True)
def no_events_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "_outboxes", {})


def event(number: int = 0, **changes: object) -> Event:
    fields = {
        "at": AT,
        "kind": "promotion",
        "severity": "info",
        "subject": "model scoreline",
        "words": f"No. {number}.",
    }
    return Event(**{**fields, "data": {"version": number}, **changes})  # type: ignore[arg-type]


def test_events_of_a_subject_arrive_in_their_order_as_they_were_reported(topics: Settings) -> None:
    reported = [event(number) for number in range(20)]
    for each in reported:
        publish(topics, each)
    assert events.drain(20) == 0
    with Reader(KafkaConfig.from_settings(topics), topics.events_topic) as reader:
        messages = list(reader.read_all())
    assert {message.key() for message in messages} == {b"model scoreline"}
    read = Records(Event).read_all([message.value() for message in messages])
    assert read.records == reported


def test_no_broker_no_topic_and_no_sound_setting_neither_raise_nor_wait(caplog: pytest.LogCaptureFixture) -> None:
    began = time.monotonic()
    unreachable = Settings(kafka_bootstrap_servers="127.0.0.1:9")
    publish(unreachable, event())
    publish(Settings(kafka_bootstrap_servers="127.0.0.1:9", events_topic=""), event())
    publish(Settings(kafka_bootstrap_servers="127.0.0.1:9"), event(data={"x": object()}))
    publish(Settings(kafka_security_protocol="SASL_SSL"), event())
    assert time.monotonic() - began < 10
    assert caplog.text.count("the event promotion of model scoreline can't be sent") >= 2
    began = time.monotonic()
    assert events.drain(20) >= 1  # kept, for as long as the process lives
    assert time.monotonic() - began < 10


def test_what_waits_for_a_broker_is_bounded(caplog: pytest.LogCaptureFixture) -> None:
    unreachable = Settings(kafka_bootstrap_servers="127.0.0.1:19")
    for number in range(events._MOST_KEPT + 10):
        publish(unreachable, event(number))
    assert caplog.text.count("can't be sent") == 10
