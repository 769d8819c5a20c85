"""The place that an early alert names, whatever somebody wrote to its topic."""

from typing import Any, cast

import pytest
from confluent_kafka import Message

from serving.early_alerts import PLACE_HEADER, place_of


class Headers:
    def __init__(self, *headers: tuple[str, Any]) -> None:
        self._headers = list(headers)

    def headers(self) -> list[tuple[str, Any]]:
        return self._headers


def place(*headers: tuple[str, Any]) -> tuple[int, int] | None:
    return place_of(cast("Message", Headers(*headers)))


def test_an_alert_names_the_place_of_its_transaction() -> None:
    assert place(("other", b"1/2"), (PLACE_HEADER, b"3/41")) == (3, 41)


@pytest.mark.parametrize("value", [None, b"", b"3", b"3/", b"/3", b"-1/3", b"1/2/3", b"\xff/1", b"1/" + b"9" * 5_000])
def test_what_names_no_place_is_passed_over(value: bytes | None) -> None:
    assert place((PLACE_HEADER, value)) is None
    assert place() is None
