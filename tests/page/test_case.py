"""A case: what it shows, and what becomes of what an analyst says."""

import re
import threading

import msgspec
import pytest
from httpx import Client
from sqlalchemy import select, text, update
from sqlalchemy.exc import DBAPIError

from ml.schema import Label
from page.access import User
from page.routes.queue import lock_first
from page.store import locks, outbox, suppressions, verdicts
from page.store.database import Database
from page.store.queue import Filter, count
from page.store.tables import alerts, cases, history
from tests.page.scores import RECORDED, encoded, score
from tests.page.test_queue import NOW, put


def state(database: Database) -> list[tuple[int, str, str | None]]:
    with database.read() as connection:
        return [
            tuple(row)
            for row in connection.execute(select(alerts.c.id, alerts.c.state, alerts.c.verdict).order_by(alerts.c.id))
        ]


def labels(database: Database) -> list[bool | None]:
    with database.begin() as connection:
        found = outbox.waiting(connection, 100)
        return [msgspec.json.decode(one.label, type=Label).is_fraud for one in found]


def what_was_done(database: Database) -> list[str]:
    with database.read() as connection:
        return list(connection.execute(select(history.c.what).order_by(history.c.id)).scalars())


def test_a_case_shows_why_and_hostile_texts_as_texts(browser: Client, database: Database) -> None:
    put(database, encoded(score(1, merchant_id="<script>x</script>", device_id="\u202eevil", customer_id="c&1")))
    shown = browser.get("/cases/1").text
    assert "times the customer" in shown
    assert "from a device not seen before" in shown
    assert "<script>x" not in shown
    assert "\u202e" not in shown


def test_real_alerts_are_shown_in_full(browser: Client, database: Database) -> None:
    put(database, encoded(*RECORDED))
    with database.read() as connection:
        numbers = list(connection.execute(select(cases.c.id)).scalars())
    for number in numbers[:5]:
        assert browser.get(f"/cases/{number}").status_code == 200


def test_a_verdict_is_a_label_and_a_line_of_history_once_however_often_the_form_is_sent(
    browser: Client, database: Database
) -> None:
    put(database, encoded(score(1), score(2, customer_id="other")))
    token = re.findall(r'name="token" value="([^"]+)"', browser.get("/cases/1").text)[0]
    form = {"verdict": "fraud", "alert": "1", "token": token, "note": "called the customer"}
    for _ in range(3):
        answer = browser.post("/cases/1/verdict", data=form)
        assert answer.status_code == 303
    assert answer.headers["location"].startswith("/cases/2?")
    assert labels(database) == [True]
    assert state(database) == [(1, "decided", "fraud"), (2, "open", None)]
    assert what_was_done(database) == ["verdict", "close", "lock"]
    assert "called the customer" in browser.get("/cases/1").text


def test_undo_withdraws_the_label_after_it_was_said(browser: Client, database: Database) -> None:
    put(database, encoded(score(1)))
    browser.post("/cases/1/verdict", data={"verdict": "honest", "alert": "1", "token": "x" * 16})
    assert browser.post("/undo").headers["location"].startswith("/cases/1")
    assert state(database) == [(1, "open", None)]
    assert labels(database) == [False]  # the withdrawal waits for what it withdraws
    with database.begin() as connection:
        outbox.mark_sent(connection, [1], NOW)
    assert labels(database) == [None]
    assert browser.post("/undo").status_code == 404


def test_unsure_is_no_label_unless_it_takes_one_back(database: Database) -> None:
    put(database, encoded(score(1), score(2)))
    with database.begin() as connection:
        verdicts.say(connection, [1], "unsure", "", "anna", NOW, "token-1")
        verdicts.say(connection, [2], "fraud", "", "anna", NOW, "token-2")
        outbox.mark_sent(connection, [1], NOW)
        verdicts.say(connection, [2], "unsure", "", "anna", NOW, "token-3")
    assert labels(database) == [None]


def test_who_finds_a_case_locked_can_decide_nothing_until_the_lock_ends(database: Database) -> None:
    put(database, encoded(score(1)))
    with database.begin() as connection:
        locks.take(connection, 1, "anna", NOW, 10)
    with database.begin() as connection, pytest.raises(Exception, match="anna works on this case"):
        verdicts.say(connection, [1], "fraud", "", "bert", NOW, "token-1")
    with database.begin() as connection:
        assert verdicts.say(connection, [1], "fraud", "", "bert", NOW + 600_001, "token-2") == 1


def test_analysts_who_ask_for_the_next_case_at_once_get_different_ones(database: Database) -> None:
    put(database, encoded(*(score(number) for number in range(8))))

    class Parts:
        settings = type("S", (), {"page_lock_minutes": 10.0})

    Parts.database = database  # type: ignore[attr-defined]
    found: list[int | None] = []
    threads = [
        threading.Thread(
            target=lambda who=who: found.append(lock_first(Parts, User(who, "decide"), Filter(), "exposure"))
        )  # type: ignore[arg-type,misc]
        for who in "abcdefgh"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(int, filter(None, found))) == list(range(1, 9))


def test_what_is_suppressed_never_waits_and_what_is_snoozed_comes_back_at_its_end(database: Database) -> None:
    put(database, encoded(score(1, customer_id="c"), score(2, merchant_id="m")))
    with database.begin() as connection:
        suppressions.make(connection, "customer", "c", "suppress", 1, "travels", "anna", NOW)
        suppressions.make(connection, "merchant", "m", "snooze", 1, "asked them", "anna", NOW)
    put(database, encoded(score(3, customer_id="c"), score(4, merchant_id="m")), first=2)
    hour = 3_600_000
    with database.begin() as connection:
        assert count(connection, Filter(), NOW)[0] == 0
        assert count(connection, Filter("suppressed"), NOW)[0] == 2
        assert count(connection, Filter("snoozed"), NOW)[0] == 2
        assert count(connection, Filter(), NOW + hour + 1)[0] == 2
        suppressions.lift(connection, 1, "bert", NOW)
        assert count(connection, Filter(), NOW)[0] == 2


def test_a_suppression_without_a_reason_or_an_end_is_refused(browser: Client, database: Database) -> None:
    put(database, encoded(score(1)))
    form = {"kind": "customer", "alert": "1", "mode": "suppress", "hours": "24", "reason": " "}
    assert browser.post("/suppressions", data=form).status_code == 422
    assert browser.post("/suppressions", data=form | {"reason": "x", "hours": "inf"}).status_code == 422
    assert browser.post("/suppressions", data=form | {"reason": "x"}).status_code == 303
    assert "customer" in browser.get("/suppressions").text


@pytest.mark.parametrize("change", ["update history set who = 'nobody'", "delete from history"])
def test_the_database_refuses_to_change_the_history(database: Database, change: str) -> None:
    put(database, encoded(score(1)))
    with database.begin() as connection:
        locks.take(connection, 1, "anna", NOW, 10)
    with pytest.raises(DBAPIError, match="only grows"), database.begin() as connection:
        connection.execute(text(change))


def test_what_nobody_made_is_answered_in_words(browser: Client, database: Database) -> None:
    put(database, encoded(score(1)))
    for path in (
        "/cases/9",
        "/cases/99999999999999999999999",
        "/cases/-1",
        "/audit/7",
        "/cases/x",
        "/history?before=x",
    ):
        assert browser.get(path).status_code in (404, 422), path
    for data in (
        {},
        {"verdict": "guilty", "alert": "1", "token": "x" * 16},
        {"verdict": "fraud", "alert": "9", "token": "x" * 16},
    ):
        assert browser.post("/cases/1/verdict", data=data).status_code in (404, 422)
    assert state(database) == [(1, "open", None)]
    assert "there is none here" in browser.get("/audit/1").text


def test_an_assigned_case_is_next_for_its_analyst_alone(browser: Client, database: Database) -> None:
    put(database, encoded(score(1)))
    browser.post("/cases/1/assign", data={"to": "bert"})
    assert browser.post("/next").headers["location"].startswith("/?none=1")
    assert ">1</a>" in browser.get("/?assigned=bert").text
    with database.begin() as connection:
        connection.execute(update(cases).values(assigned_to="analyst"))
    assert browser.post("/next").headers["location"].startswith("/cases/1")


def test_a_verdict_of_the_whole_case_is_of_the_alerts_that_were_shown(browser: Client, database: Database) -> None:
    put(database, encoded(score(1, customer_id="a"), score(2, customer_id="a")))
    shown = browser.get("/cases/1").text
    put(database, encoded(score(3, customer_id="a")), first=2)
    newest = re.findall(r'name="newest" value="([^"]+)"', shown)[0]
    form = {"verdict": "fraud", "alert": "1", "token": "x" * 16, "whole": "yes", "newest": newest}
    assert browser.post("/cases/1/verdict", data=form).headers["location"].startswith("/cases/1?")
    assert state(database) == [(1, "decided", "fraud"), (2, "decided", "fraud"), (3, "open", None)]
