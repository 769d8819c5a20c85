"""Signing in by name and password, over HTTP."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from httpx import Client
from sqlalchemy import select, update

from page.access.user_file import Named, change_users
from page.store.tables import sessions
from tests.page.access.pages import PASSWORD, Page, hash_of, page_with, sign_in, token_in, what_was_done, write_users


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    users = write_users(tmp_path / "users.yaml", ana="decide", bob="look", root="administer")
    with page_with(tmp_path, page_users=users) as found:
        yield found


@pytest.fixture
def client(page: Page) -> Iterator[Client]:
    with page.client() as found:
        yield found


def test_who_is_not_signed_in_sees_the_form_and_nothing_else(client: Client) -> None:
    shown = client.get("/?order=time")
    assert (shown.status_code, shown.headers["location"]) == (303, "/sign-in?after=%2F%3Forder%3Dtime")
    assert client.get("/events", headers={"sec-fetch-mode": "cors"}).status_code == 401
    assert client.post("/next").status_code == 401
    assert "alerts in" not in client.get("/sign-in").text
    assert client.get("/nothing").status_code == 404
    assert "Overview" not in client.get("/nothing").text


def test_the_right_password_leads_to_the_page_that_was_asked_for_and_is_in_the_history(
    page: Page, client: Client
) -> None:
    done = sign_in(client, "ana", after="/?order=time")
    assert (done.status_code, done.headers["location"]) == (303, "/?order=time")
    cookie = done.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    shown = client.get("/?order=time")
    assert shown.status_code == 200
    assert "Sign out" in shown.text
    assert ("ana", "sign in") in what_was_done(page.database)


def test_wrong_passwords_and_unknown_names_are_answered_alike_and_what_was_typed_is_kept_nowhere(
    page: Page, client: Client
) -> None:
    wrong, unknown = sign_in(client, "ana", "not this one"), sign_in(client, "hunter2!secret", "not this one")
    assert wrong.status_code == unknown.status_code == 403
    assert "The name or the password is not right." in wrong.text
    strip = lambda answer: [line for line in answer.text.splitlines() if "value=" not in line]  # noqa: E731
    assert strip(wrong) == strip(unknown)
    assert what_was_done(page.database) == [("ana", "sign in refused"), ("nobody known", "sign in refused")]


def test_an_unknown_name_takes_as_long_as_a_known_one(client: Client) -> None:
    def seconds(name: str) -> float:
        began = time.perf_counter()
        sign_in(client, name, "not this one")
        return time.perf_counter() - began

    taken = [(seconds("ana"), seconds("nobody")) for _ in range(6)]  # in turn: what else the machine does meets both
    known, unknown = (min(each) for each in zip(*taken, strict=True))
    assert 0.4 < known / unknown < 2.5


def test_signing_out_ends_the_session_for_whoever_has_its_cookie(page: Page, client: Client) -> None:
    sign_in(client, "ana")
    with page.client(cookies=dict(client.cookies)) as thief:
        assert thief.get("/").status_code == 200
        out = client.post("/sign-out", data={"form_token": token_in(client.get("/"))})
        assert (out.status_code, out.headers["location"]) == (303, "/sign-in")
        assert thief.get("/").status_code == 303
    assert what_was_done(page.database)[-1] == ("ana", "sign out")


def test_a_token_that_somebody_else_has_chosen_is_no_session(page: Page, client: Client) -> None:
    chosen = "x" * 43
    client.cookies.set("scoreline", chosen, domain="127.0.0.1")
    assert client.get("/").status_code == 303
    sign_in(client, "ana")
    assert client.cookies["scoreline"] != chosen
    with page.client(cookies={"scoreline": chosen}) as attacker:
        assert attacker.get("/").status_code == 303


def test_a_new_sign_in_ends_the_session_before_it(page: Page, client: Client) -> None:
    sign_in(client, "ana")
    before = client.cookies["scoreline"]
    sign_in(client, "bob")
    with page.client(cookies={"scoreline": before}) as other:
        assert other.get("/").status_code == 303


def test_the_store_holds_no_token(page: Page, client: Client) -> None:
    sign_in(client, "ana")
    with page.database.read() as connection:
        (row,) = connection.execute(select(sessions)).all()
    assert client.cookies["scoreline"] not in str(row)


@pytest.mark.parametrize("column", ["seen_at", "ends_at"])
def test_a_session_ends_when_it_was_idle_or_old(page: Page, client: Client, column: str) -> None:
    sign_in(client, "ana")
    past = round(time.time() * 1000) - (3_600_000 if column == "seen_at" else 0)
    with page.database.begin() as connection:
        connection.execute(update(sessions).values({column: past}))
    assert client.get("/").status_code == 303


def test_what_the_page_asks_by_itself_keeps_no_session_alive(page: Page, client: Client) -> None:
    sign_in(client, "ana")
    past = round(time.time() * 1000) - 1_800_000
    with page.database.begin() as connection:
        connection.execute(update(sessions).values(seen_at=past))

    def seen_at() -> int:
        with page.database.read() as connection:
            return int(connection.execute(select(sessions.c.seen_at)).scalar_one())

    assert client.get("/?part=rows", headers={"sec-fetch-mode": "cors"}).status_code == 200
    assert seen_at() == past
    assert client.get("/", headers={"sec-fetch-mode": "navigate"}).status_code == 200
    assert seen_at() > past


def test_a_changed_password_and_a_removed_user_end_sessions_and_a_changed_role_counts_at_once(
    page: Page, tmp_path: Path
) -> None:
    users = tmp_path / "users.yaml"
    with page.client() as ana, page.client() as bob, page.client() as root:
        for client, name in ((ana, "ana"), (bob, "bob"), (root, "root")):
            sign_in(client, name)
        change_users(users, "ana", Named(hash_of("another password"), "decide"))
        change_users(users, "bob", None)
        change_users(users, "root", Named(hash_of(PASSWORD), "look"))
        time.sleep(1.1)  # the file is looked at once a second
        assert ana.get("/").status_code == 303
        assert bob.get("/").status_code == 303
        token = token_in(root.get("/"))
        assert root.post("/next", data={"form_token": token}).status_code == 403


def test_a_role_may_what_it_says(client: Client) -> None:
    sign_in(client, "bob")
    refused = client.post("/next", data={"form_token": token_in(client.get("/"))})
    assert refused.status_code == 403
    assert "only who may decide" in refused.text
    sign_in(client, "ana")
    assert client.post("/next", data={"form_token": token_in(client.get("/"))}).status_code == 303


@pytest.mark.parametrize(
    "after",
    ["//evil.example", "https://evil.example/", "/\\evil.example", "/%0d%0aset-cookie:a=b\r\nx: y", "javascript:1"],
)
def test_signing_in_leads_to_no_other_site(client: Client, after: str) -> None:
    assert sign_in(client, "ana", after=after).headers["location"] == "/"


def test_forms_of_other_sites_and_without_the_token_change_nothing(page: Page, client: Client) -> None:
    sign_in(client, "ana")
    token = token_in(client.get("/"))
    for headers, form in (
        ({"origin": "http://evil.example"}, {"form_token": token}),
        ({"origin": "null"}, {"form_token": token}),
        ({"sec-fetch-site": "cross-site"}, {"form_token": token}),
        ({}, {}),
        ({}, {"form_token": "0" * 64}),
        ({}, {"form_token": "none"}),
    ):
        assert client.post("/sign-out", headers=headers, data=form).status_code == 403
    with page.client() as other:
        sign_in(other, "bob")
        assert client.post("/sign-out", data={"form_token": token_in(other.get("/"))}).status_code == 403
    assert client.get("/").status_code == 200


def test_nobody_is_signed_in_by_a_form_of_another_site(page: Page, client: Client) -> None:
    form = {"name": "ana", "password": PASSWORD, "form_token": "none"}
    assert client.post("/sign-in", data=form).status_code == 403
    with page.client() as attacker:
        form["form_token"] = token_in(attacker.get("/sign-in"))
    client.get("/sign-in")
    assert client.post("/sign-in", data=form).status_code == 403


def test_who_guesses_has_to_wait_whether_the_user_is_there_or_not(client: Client) -> None:
    for name in ("ana", "nobody"):
        tried = [sign_in(client, name, "not this one") for _ in range(11)]
        assert [answer.status_code for answer in tried] == [403] * 10 + [429]
        assert int(tried[-1].headers["retry-after"]) > 0
    assert sign_in(client, "ana").status_code == 429


def test_a_form_that_is_too_large_or_never_ends_is_refused(client: Client) -> None:
    assert client.post("/sign-in", content=b"x" * (1 << 20) + b"y").status_code == 413
    assert client.post("/sign-in", data={"name": "x" * 5_000}).status_code == 422
    assert sign_in(client, "ana").status_code == 303


@pytest.mark.parametrize("end", ["sign out", "removed"])
def test_an_open_stream_of_events_ends_with_the_right_to_it(page: Page, client: Client, end: str) -> None:
    sign_in(client, "ana")
    form = {"form_token": token_in(client.get("/"))}
    with client.stream("GET", "/events", timeout=60) as stream:
        lines = stream.iter_lines()
        while not next(lines).startswith("data:"):
            pass
        if end == "sign out":
            with page.client(cookies=client.cookies) as other:  # the stream has the first one's connection
                assert other.post("/sign-out", data=form).status_code == 303
        else:
            assert page.settings.page_users
            change_users(page.settings.page_users, "ana", None)
        assert "event: ended" in list(lines)
    assert client.get("/events", headers={"sec-fetch-mode": "cors"}).status_code == 401
