"""Clients that mean no good, or have lost their right, take the page from nobody."""

import socket
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from httpx import Client
from sqlalchemy import select, update

from page.heads import MOST_BYTES
from page.store.tables import sessions
from tests.page.access.pages import page_with, sign_in, write_users


def test_who_is_signed_in_goes_on_reading_while_another_program_has_the_store_locked(tmp_path: Path) -> None:
    users = write_users(tmp_path / "users.yaml", ana="decide")
    with page_with(tmp_path, page_users=users) as page, page.client(timeout=20) as client:
        sign_in(client, "ana")
        with page.database.begin() as connection:  # a minute ago, so that this use of the session is to be noted
            connection.execute(update(sessions).values(seen_at=sessions.c.seen_at - 60_000))
        with closing(sqlite3.connect(tmp_path / "page" / "cases.db", isolation_level=None)) as other:
            other.execute("begin immediate")
            began = time.monotonic()
            assert client.get("/").status_code == 200
            assert time.monotonic() - began < 15  # of SQLite's 30 s
            other.execute("rollback")
        with page.database.read() as connection:
            before = connection.scalar(select(sessions.c.seen_at))
        assert client.get("/").status_code == 200
        with page.database.read() as connection:
            assert connection.scalar(select(sessions.c.seen_at)) > before


def _talk(address: str, *said: bytes, pause: float = 0.0) -> tuple[bytes, bool]:
    """(what is answered to what is said, whether the server then ended the connection)."""
    host, port = address.removeprefix("http://").split(":")
    answer = b""
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        try:
            for part in said:
                connection.sendall(part)
                time.sleep(pause)
            while more := connection.recv(65_536):
                answer += more
        except TimeoutError:
            return answer, False
        except OSError:  # it was ended while we spoke
            pass
    return answer, True


def test_heads_that_never_end_are_waited_for_a_while_and_kept_up_to_a_size(
    browser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("page.heads.SECONDS", 0.5)
    address = str(browser.base_url).rstrip("/")
    for said in ((), (b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\nx: ",), [b"\r\n"] * 3):
        answer, ended = _talk(address, *said, pause=0.1)
        assert ended
        assert b" 408 " in answer
    whole = b"GET /health HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"
    answer, ended = _talk(address, whole, whole[:20], pause=0.2)
    assert ended
    assert b" 200 " in answer
    answer, ended = _talk(address, b"GET / HTTP/1.1\r\nx: ", *[b"a" * 8_192] * (2 * MOST_BYTES // 8_192))
    assert ended
    assert answer == b"" or b" 431 " in answer
    assert browser.get("/health").status_code == 200


def test_an_answer_that_takes_longer_than_a_head_may_is_given(browser: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("page.heads.SECONDS", 0.3)
    monkeypatch.setattr("page.routes.queue.count", lambda *_: time.sleep(1.0) or (0, 0))
    assert browser.get("/").status_code == 200
    time.sleep(0.5)
    assert browser.get("/health").status_code == 200  # the same connection, kept for the next request
