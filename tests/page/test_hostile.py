"""What others write to the topics, and clients that mean no good, take the page from nobody."""

import json
import re
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from httpx import Client
from sqlalchemy import select

from ml.schema import Unreadable
from page.feed import recent as feed
from page.feed.recent import Recent
from page.parts import Parts
from page.payment import Payment
from page.store import figures, locks, merchants, verdicts
from page.store.database import Database, open_database
from page.store.queue import Filter, rows
from page.store.tables import alerts
from page.view import payment
from settings import Settings
from tests.page.running import running
from tests.page.scores import encoded, score
from tests.page.test_case import state
from tests.page.test_queue import NOW, put

FAR = ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59-14:00")


def changed(number: int, **fields: Any) -> bytes:
    """An alert with fields that no `Score` of ours would have."""
    return json.dumps(json.loads(encoded(score(number))[0]) | fields).encode()


def test_alerts_from_the_ends_of_the_calendar_are_shown_and_so_are_their_customers_others(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'cases.db'}")
    parts = Parts.of(Settings(log_dir=tmp_path, page_data=tmp_path), database)
    parts.workers.clear()
    put(database, [changed(n, event_time=time, customer_id=f"c{n % 5}") for n, time in enumerate([*FAR, FAR[0]])])
    for number in range(5):
        parts.recent.add(payment(score(90 + number, customer_id="c0")))
    with running(parts) as address, Client(base_url=address, timeout=60) as browser:
        assert browser.get("/").status_code == 200
        for case in range(1, 5):
            shown = browser.get(f"/cases/{case}")
            assert shown.status_code == 200, case
        assert "0001-01-01 00:00:00 UTC" in browser.get("/cases/1").text.replace(">1-01-01", ">0001-01-01")


def test_a_foreign_payment_that_no_drawing_holds_is_none() -> None:
    good = json.loads(encoded(score(1))[0])
    assert feed._decode(json.dumps(good).encode()).customer_id == "c1"
    for wrong in (
        {"event_time": "2026-03-01T12:00:00"},  # without a zone it can't be ordered among the others
        {"latitude": 1e308},
        {"longitude": -1e308},
        {"latitude": 90.5},
        {"offset": 10**30},
        {"kafka_time": 2**64},
        {"model_version": 2**63},
    ):
        with pytest.raises(msgspec.ValidationError):
            feed._decode(json.dumps(good | wrong).encode())


def test_the_largest_amounts_leave_the_queue_as_it_is(browser: Client, database: Database) -> None:
    put(database, encoded(*(score(n, customer_id="rich", amount=1.7e308) for n in range(3)), score(9)))
    assert "4 alerts in 2 cases" in browser.get("/").text
    assert browser.get("/cases/1").status_code == 200
    with database.begin() as connection:
        assert rows(connection, Filter(), "exposure", NOW, 10)[0].worth <= 3.1e290
        assert merchants.merchants(connection, Filter(), "exposure", NOW, 10)[0].worth <= 3.1e290
        verdicts.say(connection, [1, 2, 3], "fraud", "", "ana", NOW, "token")
        assert figures.by_model(connection)
    assert browser.get("/merchants").status_code == 200


def test_payments_in_memory_are_bounded_by_their_texts_too() -> None:
    recent = Recent(most=1_000, most_characters=20_000)
    one = msgspec.structs.asdict(payment(score(1)))
    long = dict.fromkeys(("merchant_id", "merchant_category", "channel", "device_id", "currency"), "x" * 900_000)
    for number in range(50):
        recent.add(Payment(**(one | long | {"customer_id": f"c{number}"})))
    kept = list(recent.newest())
    assert 5 < len(kept) < 20
    assert sum(each.characters for each in kept) <= 20_000
    assert not recent.of_customer("c0")
    assert recent.of_customer("c49")
    for number in range(2_000):
        recent.add(Payment(**(one | {"customer_id": f"d{number}"})))
    assert sum(len(recent.of_customer(f"d{number}")) for number in range(2_000)) == len(list(recent.newest()))


def test_a_case_of_more_alerts_than_are_shown_says_so(browser: Client, database: Database) -> None:
    put(database, encoded(*(score(n, customer_id="same") for n in range(620))))
    shown = browser.get("/cases/1").text
    assert "620 alerts, 620 open, 500 shown" in shown
    assert "of the 500 open alerts that are shown" in shown
    fields = dict(re.findall(r'name="(alert|token|newest)" value="([^"]+)"', shown))
    answer = browser.post("/cases/1/verdict", data=fields | {"verdict": "honest", "whole": "yes"})
    assert answer.headers["location"].startswith("/cases/1?")
    assert sum(verdict is None for *_, verdict in state(database)) >= 120


def test_nobody_takes_back_a_verdict_in_a_case_that_somebody_else_works_on(browser: Client, database: Database) -> None:
    put(database, encoded(score(1)))
    browser.post("/cases/1/verdict", data={"verdict": "fraud", "alert": "1", "token": "x" * 16})
    with database.begin() as connection:
        locks.take(connection, 1, "ben", time.time_ns() // 1_000_000, 10)
    answer = browser.post("/undo")
    assert answer.status_code == 409
    assert "ben works on this case" in answer.text
    assert state(database) == [(1, "decided", "fraud")]


def test_the_audit_of_a_number_that_no_row_has_is_refused_in_words(browser: Client) -> None:
    assert browser.get(f"/audit/{10**30}").status_code == 404


NUMBERS = (
    *("amount", "anomaly_score", "threshold", "latitude", "longitude", "partition", "offset", "kafka_time"),
    *("model_version", "threshold_version", "micro_batch", "scored_at", "fold_version", "profile_version"),
)
VALUES = (2**31, 2**48, 2**63, -1, 1e308, "5", None, True, float("nan"), float("inf"))


def test_an_alert_with_any_number_is_no_alert_or_one_that_the_store_holds_and_the_page_shows(
    browser: Client, database: Database
) -> None:
    read = 0
    for name in NUMBERS:
        for number, value in enumerate(VALUES, 100):
            with suppress(Unreadable):
                read += put(database, [changed(number, transaction_id=f"{name}{number}", **{name: value})], 10 * read)
    assert 20 < read < len(NUMBERS) * len(VALUES)
    assert browser.get("/").status_code == 200
    with database.read() as connection:
        found = connection.execute(select(alerts.c.id, alerts.c.case_id)).all()
    assert len(found) == read
    for alert, case in found:
        assert browser.get(f"/cases/{case}?alert={alert}").status_code == 200
