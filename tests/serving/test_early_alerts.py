"""Early alerts: the place that one names, whatever somebody wrote to the topic, and when one is held."""

from typing import Any, cast

import pytest
from confluent_kafka import KafkaError, KafkaException, Message

from messaging.config import KafkaConfig
from serving import early_alerts
from serving.early_alerts import EarlyAlerts, Lease
from serving.sent_alerts import PLACE_HEADER, Sent, place_of
from settings import Settings

ALERT = b'{"transaction_id": "t", "partition": 3, "offset": 41}'


class Headers:
    def __init__(self, *headers: tuple[str, Any], value: bytes | None = ALERT) -> None:
        self._headers = list(headers)
        self._value = value

    def value(self) -> bytes | None:
        return self._value

    def headers(self) -> list[tuple[str, Any]]:
        return self._headers


def place(*headers: tuple[str, Any], value: bytes | None = ALERT) -> tuple[int, int] | None:
    return place_of(cast("Message", Headers(*headers, value=value)))


def test_an_alert_names_the_place_of_its_transaction() -> None:
    assert place(("other", b"1/2"), (PLACE_HEADER, b"3/41")) == (3, 41)


@pytest.mark.parametrize("value", [None, b"", b"3", b"3/", b"/3", b"-1/3", b"1/2/3", b"\xff/1", b"1/" + b"9" * 5_000])
def test_what_names_no_place_is_passed_over(value: bytes | None) -> None:
    assert place((PLACE_HEADER, value)) is None
    assert place() is None


@pytest.mark.parametrize(
    "value",
    [None, b"", b"x", b"{}", b'{"partition": 3, "offset": 42}', b'{"partition": "3", "offset": 41}', b"[" * 9_999],
)
def test_a_header_is_not_believed_where_the_alert_itself_says_otherwise(value: bytes | None) -> None:
    assert place((PLACE_HEADER, b"3/41"), value=value) is None


class Unreadable:
    """A topic that can't be read for as long as `failing`."""

    failing = True

    def __contains__(self, place: object) -> bool:
        return False

    def read(self) -> None:
        pass

    def read_all(self) -> None:
        if self.failing:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "the broker is unavailable"))

    def close(self) -> None:
        pass


class Leased:
    held = frozenset({0})

    def close(self) -> None:
        pass


def test_while_it_is_not_known_what_others_have_sent_alerts_are_held_and_then_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(early_alerts, "_PAUSE_SECONDS", 0.0)
    sent = Unreadable()
    nowhere = KafkaConfig.from_settings(Settings(kafka_bootstrap_servers="127.0.0.1:1"))
    alerts = EarlyAlerts(nowhere, "alerts.early", cast("Lease", Leased()), cast("Sent", sent))
    alerts.send(0, 7, b"k", b"{}")
    alerts.look()
    assert len(alerts._held) == 1
    sent.failing = False
    alerts.look()
    assert len(alerts._held) == 0
    assert alerts.close(0.0) == 1  # it is on its way to a broker that is not there
