"""Who may ask the service, and how often."""

import hashlib
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from serving.access import Access, Key
from serving.errors import ServiceError
from serving.http import RequestRefused
from serving.watched_file import WatchedFile


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


@pytest.mark.parametrize(
    "text",
    [
        *(
            "- a",
            "till: {sha256: abc}",
            "till: {sha256: 'x'}",
            "[",
            "till: {key: abc}",
            "2026-02-30: {}",
            "till: !!bool x",
        ),
        *("[" * 9_000, "till: {rate: 0b_}"),
    ],
)
def test_a_file_that_holds_no_keys_is_named(text: str, tmp_path: Path) -> None:
    path = tmp_path / "keys.yaml"
    path.write_text(text)
    with pytest.raises(ServiceError, match=r"the keys .*keys\.yaml can't be read: \S"):
        Access.read(path)


def test_keys_are_taken_up_and_dropped_while_rates_go_on_with_what_is_left() -> None:
    now = [0.0]
    access = Access(keys(till=10, web=10), lambda: now[0])
    access.spend("till", 10)
    access.take(keys(till=10, desk=None))
    assert access.caller(scope("Bearer key of desk")) == "desk"
    with pytest.raises(RequestRefused) as raised:
        access.caller(scope("Bearer key of web"))
    assert raised.value.refused.status == 401
    with pytest.raises(RequestRefused):
        access.spend("till")
    access.take(keys(till=20))
    access.spend("till", 20)


def written(path: Path, found: dict[str, Key]) -> None:
    path.write_text("".join(f"{name}: {{sha256: {key.sha256}}}\n" for name, key in found.items()))


def test_a_file_is_read_again_when_it_changes_and_one_that_can_not_be_used_opens_nothing(tmp_path: Path) -> None:
    path = tmp_path / "keys.yaml"
    written(path, keys(till=None))
    access = Access.read(path)
    for text in ("", "{}", "till: [", "till: {sha256: 0}"):
        path.write_text(text)
        access.read_again(path)
        assert access.needs_key
        assert access.caller(scope("Bearer key of till")) == "till"
    written(path, keys(web=None))
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            assert access.caller(scope("Bearer key of web")) == "web"
            break
        except RequestRefused:
            time.sleep(0.1)
    with pytest.raises(RequestRefused):
        access.caller(scope("Bearer key of till"))


def test_a_file_without_a_single_key_is_refused_instead_of_letting_everybody_in(tmp_path: Path) -> None:
    path = tmp_path / "keys.yaml"
    path.write_text("{}")
    with pytest.raises(ServiceError, match="it has none"):
        Access.read(path)


def test_a_file_of_the_same_time_and_size_is_another_one(tmp_path: Path) -> None:
    path, looks = tmp_path / "keys.yaml", []
    written(path, keys(till=None))
    os.utime(path, ns=(1, 1))
    watched = WatchedFile(path, lambda: looks.append(path.read_text()))
    watched.look()
    assert looks == []
    new = tmp_path / "new.yaml"
    written(new, keys(shop=None))
    os.utime(new, ns=(1, 1))
    assert new.stat().st_size == path.stat().st_size
    new.replace(path)
    watched.look()
    written(path, keys(ship=None))
    os.utime(path, ns=(1, 1))
    watched.look()
    path.chmod(0o600)  # who may read it
    watched.look()
    assert [text[:4] for text in looks] == ["shop", "ship", "ship"]


def test_keys_that_are_made_a_pipe_or_a_folder_do_not_end_the_looks(tmp_path: Path) -> None:
    path = tmp_path / "keys.yaml"
    written(path, keys(till=None))
    access = Access(keys(till=None))
    for make in (os.mkfifo, Path.mkdir):
        path.unlink()
        make(path)
        look = threading.Thread(target=access.read_again, args=(path,), daemon=True)
        look.start()
        look.join(10)
        assert not look.is_alive(), make
        assert access.caller(scope("Bearer key of till")) == "till"
        path.rmdir() if path.is_dir() else None
        path.touch()


def test_keys_that_change_while_they_are_read_first_are_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "keys.yaml"
    written(path, keys(till=None))
    read = Path.read_text

    def changing(file: Path, *arguments: Any) -> str:
        text = read(file, *arguments)
        monkeypatch.undo()
        written(path, keys(shop=None))
        return text

    monkeypatch.setattr(Path, "read_text", changing)
    access = Access.read(path)
    deadline = time.monotonic() + 120
    while "shop" not in access._callers.keys and time.monotonic() < deadline:
        time.sleep(0.1)
    assert list(access._callers.keys) == ["shop"]


@pytest.mark.parametrize("rate", [1e-320, 1e-9, float("inf")])
def test_of_any_rate_a_caller_is_answered_or_told_when_to_come_back(rate: float) -> None:
    access = Access(keys(till=rate), lambda: 0.0)
    for _ in range(3):
        try:
            access.spend("till")
        except RequestRefused as refused:
            assert 1 <= int(refused.headers["retry-after"]) <= 86_400  # noqa: PT017  # of several rates one refuses nothing
