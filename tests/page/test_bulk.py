"""Several at once: one verdict of many alerts, each label once, taken back singly or together; assignment; merchants."""

import re
from pathlib import Path

from httpx import Client
from sqlalchemy import select

from page.store import locks, outbox
from page.store.database import Database
from page.store.history import events
from page.store.tables import cases
from tests.page.access.pages import page_with, sign_in, token_in, write_users
from tests.page.scores import encoded, score
from tests.page.test_case import labels, state
from tests.page.test_queue import NOW, put


def field(name: str, text: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', text)
    assert found, name
    return found[1]


def test_one_verdict_of_several_cases_is_each_label_once_and_means_what_was_shown(
    browser: Client, database: Database
) -> None:
    put(database, encoded(score(1, customer_id="a"), score(2, customer_id="a", country="DE"), score(3), score(4)))
    shown = browser.get("/").text
    put(database, encoded(score(5, customer_id="a")), first=4)  # came after the page was shown: not meant
    form = {
        "verdict": "fraud",
        "note": "one ring",
        "token": field("token", shown),
        "newest": field("newest", shown),
        "case": ["1", "2"],
    }
    for _ in range(2):
        answer = browser.post("/bulk/verdict?country=FR", data=form)
        assert answer.status_code == 303
    assert labels(database) == [True, True]
    assert state(database) == [
        (1, "decided", "fraud"),
        (2, "open", None),  # of the same case, and not in the view
        (3, "decided", "fraud"),
        (4, "open", None),
        (5, "open", None),
    ]
    said = browser.get(answer.headers["location"]).text
    assert "2 alerts" in said
    assert "one ring" in said


def test_what_was_said_together_is_taken_back_singly_or_together(browser: Client, database: Database) -> None:
    put(database, encoded(*(score(number) for number in range(4))))
    form = {"verdict": "honest", "token": "x" * 16, "alert": ["1", "2", "3"]}
    browser.post("/bulk/verdict", data=form)
    with database.begin() as connection:
        outbox.mark_sent(connection, [1, 2, 3], NOW)
    assert browser.post("/said/undo", data={"token": "x" * 16, "alert": "2"}).status_code == 303
    assert state(database)[:3] == [(1, "decided", "honest"), (2, "open", None), (3, "decided", "honest")]
    assert labels(database) == [None]
    browser.post("/said/undo", data={"token": "x" * 16})
    assert [one[1] for one in state(database)] == ["open"] * 4
    assert labels(database) == [None] * 3
    assert browser.post("/said/undo", data={"token": "x" * 16}).status_code == 404
    assert browser.get(f"/said?token={'x' * 16}").text.count("taken back") == 3


def test_a_case_that_somebody_else_works_on_is_left_out_and_named(browser: Client, database: Database) -> None:
    put(database, encoded(score(1), score(2)))
    with database.begin() as connection:
        locks.take(connection, 1, "bert", 9_000_000_000_000, 10)
    answer = browser.post(
        "/bulk/verdict", data={"verdict": "fraud", "token": "x" * 16, "case": ["1", "2"], "newest": "9"}
    )
    assert state(database) == [(1, "open", None), (2, "decided", "fraud")]
    assert 'href="/cases/1">case 1<' in browser.get(answer.headers["location"]).text


def test_nothing_ticked_too_much_and_nonsense_are_refused_in_words(browser: Client, database: Database) -> None:
    put(database, encoded(*(score(number, customer_id="same") for number in range(501))))
    plain = {"verdict": "fraud", "token": "x" * 16}
    assert "tick the rows first" in browser.post("/bulk/verdict", data=plain).text
    assert "tick the rows first" in browser.post("/bulk/assign", data={"whom": "me"}).text
    assert browser.post("/bulk/verdict", data=plain | {"case": "1", "newest": "999"}).status_code == 422
    assert browser.post("/bulk/verdict", data=plain | {"case": "x"}).status_code == 422
    assert browser.post("/bulk/verdict", data=plain | {"alert": str(2**70)}).status_code == 422
    assert (
        "Nothing was said"
        in browser.get(browser.post("/bulk/verdict", data=plain | {"case": "9"}).headers["location"]).text
    )
    assert labels(database) == []


def test_cases_are_assigned_together_found_by_whose_they_are_and_it_stands_in_the_history(
    browser: Client, database: Database
) -> None:
    put(database, encoded(*(score(number) for number in range(3))))
    browser.post("/bulk/assign", data={"whom": "me", "case": ["1", "2"]})
    browser.post("/bulk/assign", data={"whom": "user", "to": "bert", "case": ["2", "3"]})
    browser.post("/cases/3/assign", data={"whom": "nobody"})
    with database.read() as connection:
        assert connection.execute(select(cases.c.assigned_to).order_by(cases.c.id)).scalars().all() == [
            "analyst",
            "bert",
            None,
        ]
        assert [(one.case_id, one.detail["to"]) for _, one in events(connection)] == [
            (3, None), (3, "bert"), (2, "bert"), (2, "analyst"), (1, "analyst"),
        ]  # fmt: skip
    mine = browser.get("/?assigned=analyst").text
    assert "1 alerts in 1 cases" in mine
    assert 'href="/?assigned=analyst"' in browser.get("/").text


def test_where_users_are_named_a_case_goes_to_one_who_may_decide(tmp_path: Path) -> None:
    users = write_users(tmp_path / "users.yaml", ana="decide", lea="look")
    with page_with(tmp_path, page_users=users) as page, page.client() as client:
        put(page.database, encoded(score(1)))
        sign_in(client, "ana")
        form = {"whom": "user", "case": "1", "form_token": token_in(client.get("/"))}
        assert "<option>ana</option>" in client.get("/").text
        for wrong in ("lea", "nobody else"):
            assert "who may decide" in client.post("/bulk/assign", data=form | {"to": wrong}).text
        assert client.post("/bulk/assign", data=form | {"to": "ana"}).status_code == 303


def test_alerts_of_many_customers_at_one_merchant_stand_together(browser: Client, database: Database) -> None:
    put(database, encoded(*(score(n, merchant_id="<m>&1", amount=10.0) for n in range(5)), score(9, merchant_id=None)))
    put(database, encoded(score(10, merchant_id="other", amount=20.0)), first=6)
    groups = browser.get("/merchants").text
    assert "6 alerts at 2 merchants" in groups
    assert groups.index("&lt;m&gt;") < groups.index(">other<")
    place = re.search(r'href="(/merchant\?id=%3Cm[^"]*)"', groups)
    assert place
    shown = browser.get(place[1]).text
    assert "5 alerts of 5 customers" in shown
    assert shown.count('name="alert"') == 5
    assert "There is no alert at this merchant" in browser.get("/merchant?id=nothing").text
