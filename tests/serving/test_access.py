"""Who may ask the service, and how often."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from serving.access import Access, Key
from serving.errors import ServiceError
from serving.http import RequestRefused


def scope(authorization: str | None) -> dict[str, Any]:
    return {"headers": [] if authorization is None else [(b"authorization", authorization.encode())]}


def keys(**rates: float | None) -> dict[str, Key]:
    return {name: Key(hashlib.sha256(f"key of {name}".encode()).hexdigest(), rate) for name, rate in rates.items()}


def test_without_keys_everybody_may_ask() -> None:
    access = Access({})
    assert (access.caller(scope(None)), access.needs_key) == ("", False)
    access.spend("", 1_000_000)


@pytest.mark.parametrize(
    "given", [None, "", "Bearer", "Bearer wrong", "Basic key of till", "key of till", "Bearer \xff"]
)
def test_without_the_right_key_nobody_is_answered(given: str | None) -> None:
    with pytest.raises(RequestRefused) as raised:
        Access(keys(till=None)).caller(scope(given))
    assert raised.value.refused.status == 401
    assert raised.value.headers == {"www-authenticate": "Bearer"}


def test_a_key_is_known_by_its_hash_and_gives_its_name() -> None:
    access = Access(keys(till=None, web=5))
    assert access.caller(scope("Bearer key of web")) == "web"
    assert access.caller(scope("bearer  key of till")) == "till"


def test_who_has_used_up_the_rate_is_told_when_to_come_back_and_others_are_not_touched() -> None:
    now = [0.0]
    access = Access(keys(till=10, web=10), lambda: now[0])
    for _ in range(10):
        access.spend("till")
    with pytest.raises(RequestRefused) as raised:
        access.spend("till")
    assert (raised.value.refused.status, raised.value.headers["retry-after"]) == (429, "1")
    access.spend("web", 10)
    now[0] = 0.1
    access.spend("till")
    with pytest.raises(RequestRefused):
        access.spend("till")


def test_a_batch_counts_by_its_transactions_and_one_larger_than_a_second_still_passes_in_time() -> None:
    now = [0.0]
    access = Access(keys(till=10), lambda: now[0])
    access.spend("till", 25)
    now[0] = 2.4
    with pytest.raises(RequestRefused):
        access.spend("till", 25)
    now[0] = 2.6
    access.spend("till", 25)


@pytest.mark.parametrize("text", ["- a", "till: {sha256: abc}", "till: {sha256: 'x'}", "[", "till: {key: abc}"])
def test_a_file_that_holds_no_keys_is_named(text: str, tmp_path: Path) -> None:
    path = tmp_path / "keys.yaml"
    path.write_text(text)
    with pytest.raises(ServiceError, match=r"the keys .*keys\.yaml can't be read: \S"):
        Access.read(path)
