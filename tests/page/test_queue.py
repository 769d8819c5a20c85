"""The queue: what it shows, in which order, and that whatever an id holds is shown as text."""

from httpx import Client

from page.store.alert import alert_of
from page.store.database import Database
from page.store.intake import Read, take_in
from tests.page.scores import RECORDED, encoded, score

NOW = 1_772_366_500_000


def put(database: Database, values: list[bytes], first: int = 0) -> int:
    """Take in alerts as if they had come from a topic in this order; returns how many are new."""
    batch = []
    for offset, value in enumerate(values, first):
        alert, lane = alert_of(value)
        batch.append(Read("alerts#1", 0, offset, NOW + offset, lane, alert))
    with database.begin() as connection:
        return take_in(connection, "log", batch, NOW)


def test_an_empty_queue_says_so(browser: Client) -> None:
    shown = browser.get("/")
    assert shown.status_code == 200
    assert "No case is like this" in shown.text
    assert "default-src 'none'" in shown.headers["content-security-policy"]


def test_cases_are_sorted_by_score_times_amount_or_by_time_and_filtered_by_the_address(
    browser: Client, database: Database
) -> None:
    put(database, encoded(score(1, amount=5.0), score(2, amount=900.0), score(3, amount=50.0, country="DE")))
    by_exposure = browser.get("/").text
    assert by_exposure.index(">c2<") < by_exposure.index(">c3<") < by_exposure.index(">c1<")
    by_time = browser.get("/?order=time").text
    assert by_time.index(">c3<") < by_time.index(">c2<") < by_time.index(">c1<")
    only = browser.get("/?country=DE&part=rows").text
    assert ">c3<" in only
    assert ">c1<" not in only
    assert ">c2<" not in browser.get("/?worth=1000").text


def test_the_alerts_of_one_customer_are_one_case(browser: Client, database: Database) -> None:
    put(database, encoded(*(score(n, customer_id="same") for n in range(5)), score(9)))
    assert "6 alerts in 2 cases" in browser.get("/").text


def test_real_alerts_of_a_job_are_shown(browser: Client, database: Database) -> None:
    assert put(database, encoded(*RECORDED)) == len(RECORDED) > 0
    shown = browser.get("/").text
    assert all(f">{one.customer_id}<" in shown for one in RECORDED[:1])


def test_hostile_ids_are_text_that_is_cut_and_turns_nothing(browser: Client, database: Database) -> None:
    script, turned, long = "<script>alert(1)</script>", "a\u202egnp.exe\u200f", "x" * 10_000
    put(
        database,
        encoded(
            score(1, customer_id=script), score(2, customer_id=turned, merchant_id="a\0b"), score(3, merchant_id=long)
        ),
    )
    shown = browser.get("/").text
    assert "<script>alert" not in shown
    assert "&lt;script&gt;" in shown
    assert "\u202e" not in shown
    assert "\\u202e" in shown
    assert "x" * 600 not in shown


def test_an_address_that_nobody_made_is_answered(browser: Client) -> None:
    for query in (
        "score=nan&page=-1&order=up&status=x",
        "page=9999999999999999999",
        "worth=1e999&model_version=1e40",
        "customer=%00",
    ):
        assert browser.get(f"/?{query}").status_code == 200
    assert browser.get("/nothing").status_code == 404


def test_a_page_that_has_no_sign_in_answers_this_machine_alone(browser: Client) -> None:
    assert browser.get("/", headers={"host": "evil.example:8090"}).status_code == 403
    assert browser.post("/next", headers={"origin": "http://evil.example"}).status_code == 403
