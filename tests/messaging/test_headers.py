"""Headers as the client gives them, also those that it can't read."""

from collections.abc import Callable
from typing import Any, cast

import pytest
from confluent_kafka import Message

from messaging.headers import headers_of, value_of


class Read:
    def __init__(self, give: Callable[[], Any]) -> None:
        self._give = give

    def headers(self) -> Any:
        return self._give()


def found(give: Callable[[], Any]) -> list[tuple[str, bytes | None]]:
    return list(headers_of(cast("Message", Read(give))))


def fails(error: Exception) -> Any:
    def give() -> Any:
        raise error

    return give


@pytest.mark.parametrize(
    ("given", "wanted"),
    [(None, []), ([], []), ([("a", b"1"), ("a", None)], [("a", b"1"), ("a", None)]), ({"a": b"1"}, [("a", b"1")])],
)
def test_headers_are_a_list_in_their_order(given: Any, wanted: list[tuple[str, bytes | None]]) -> None:
    assert found(lambda: given) == wanted


@pytest.mark.parametrize(
    "error", [SystemError("returned a result with an exception set"), UnicodeDecodeError("utf-8", b"\xff", 0, 1, "no")]
)
def test_headers_that_the_client_cannot_read_are_none(error: Exception) -> None:
    assert found(fails(error)) == []


def test_of_several_values_the_first_counts() -> None:
    assert value_of([("b", b"0"), ("a", b"1"), ("a", b"2")], "a") == b"1"
    assert value_of([("a", None), ("a", b"2")], "a") is None
    assert value_of([], "a") is None
