"""The page of the search and its export, over both kinds of store."""

import csv
import io
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from httpx import Client
from sqlalchemy import select

from page.errors import TooSlow
from page.parts import SCORES_FILE
from page.routes import search
from page.search.kept_scores import KeptScores
from page.search.searches import AT_ONCE, Searches
from page.store.database import Database
from page.store.history import events
from page.store.tables import alerts
from tests.page.scores import encoded, score
from tests.page.search.payments import payment
from tests.page.test_queue import put


def keep(folder: Path, *payments: object) -> None:
    """What the page's feed would have kept."""
    kept = KeptScores(folder / SCORES_FILE, 10_000, 24.0, lambda: 1)
    kept.add(list(payments))  # type: ignore[arg-type]
    kept.close()


def test_every_transaction_is_found_by_the_address_page_by_page(browser: Client, tmp_path: Path) -> None:
    keep(tmp_path, *(payment(number, customer_id="c<1>" if number == 7 else "C") for number in range(120)))
    first = browser.get("/search")
    assert first.status_code == 200
    assert ">T119<" in first.text
    assert "120 transactions of the live feed" in first.text
    assert ">T69<" not in first.text
    assert ">T69<" in browser.get("/search?page=2").text
    only = browser.get("/search", params={"customer": "c<1>", "since": "2026-03-02 00:00"}).text
    assert ">T7<" in only
    assert "c&lt;1&gt;" in only
    assert ">T8<" not in only
    assert 'value="2026-03-02 00:00:00"' in only
    assert "No transaction is like this" in browser.get("/search?transaction=nothing").text


def test_a_transaction_that_is_an_alert_leads_to_its_case(browser: Client, database: Database, tmp_path: Path) -> None:
    put(database, encoded(score(5, transaction_id="T5", partition=1, offset=5)))
    keep(tmp_path, payment(5), payment(9, transaction_id="T5", partition=1))
    shown = browser.get("/search").text
    assert shown.count('href="/cases/1?alert=1"') == 1


def test_what_can_not_be_read_is_said_and_there_is_no_lake(browser: Client) -> None:
    shown = browser.get("/search?since=yesterday&score=nan&page=-1&source=else&order=up").text
    assert "since has to be a time as in" in shown
    assert "score has to be a number" in shown
    assert browser.get("/search.csv?since=yesterday").status_code == 422
    lake = browser.get("/search?source=lake")
    assert (lake.status_code, "there is no lake here" in lake.text) == (404, True)
    assert browser.get("/search.csv?source=lake").status_code == 404
    assert browser.get("/search", params={"customer": "x" * 10_000, "page": "9" * 400}).status_code in (200, 400)


def test_the_export_is_guarded_and_stands_in_the_history(browser: Client, database: Database, tmp_path: Path) -> None:
    keep(tmp_path, *(payment(number, merchant_id='=cmd|"/c calc"!A0') for number in range(2_500)))
    answer = browser.get("/search.csv?customer=C3")
    rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    assert len(rows) == len([n for n in range(2_500) if n % 7 == 3])
    assert {row["merchant_id"] for row in rows} == {'\'=cmd|"/c calc"!A0'}
    assert answer.headers["content-disposition"].startswith('attachment; filename="transactions-live-2')
    with database.read() as connection:
        noted = events(connection)[0][1]
    assert (noted.what, noted.detail) == ("export", {"search": "customer=C3"})


def test_a_search_that_is_stopped_says_so(browser: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(*_: object) -> None:
        raise TooSlow(10.0)

    monkeypatch.setattr(Searches, "find", slow)
    shown = browser.get("/search")
    assert (shown.status_code, "stopped after 10 s" in shown.text) == (504, True)


def test_a_search_changes_nothing(browser: Client, database: Database) -> None:
    browser.get("/search?customer='; delete from alerts; --")
    with database.read() as connection:
        assert connection.execute(select(alerts)).all() == []


def test_who_downloads_and_never_reads_leaves_the_place_to_others(
    browser: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(tmp_path, *(payment(number, merchant_id="m" * 250, customer_id="c" * 250) for number in range(9_000)))
    monkeypatch.setattr(search, "EXPORT_SECONDS", 0.5)
    monkeypatch.setattr(search, "_GRACE_SECONDS", 0.0)
    address = browser.base_url.host, browser.base_url.port
    asked = f"GET /search.csv HTTP/1.1\r\nHost: {address[0]}:{address[1]}\r\n\r\n".encode()
    with ExitStack() as stack:
        for _ in range(AT_ONCE):
            slow = stack.enter_context(socket.socket())
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            slow.connect(address)
            slow.sendall(asked)
            assert slow.recv(15) == b"HTTP/1.1 200 OK"
        deadline = time.monotonic() + 60
        while browser.get("/search").status_code != 200:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_a_slow_search_keeps_nobody_from_the_rest_of_the_page(browser: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    began, done = threading.Event(), threading.Event()

    def slow(*_: object) -> list[object]:
        began.set()
        done.wait(60)
        return []

    monkeypatch.setattr(Searches, "find", slow)
    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(lambda: browser.get("/search").status_code)
        assert began.wait(60)
        assert browser.get("/").status_code == 200
        assert not found.done()
        done.set()
        assert found.result(60) == 200
