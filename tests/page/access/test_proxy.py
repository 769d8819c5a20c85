"""Signing in by a reverse proxy's headers, which count from the proxy alone."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.page.access.pages import Page, page_with, sign_in, token_in, what_was_done, write_users

ROLES = "administer: [leads]\ndecide: [analysts]\n"


@pytest.fixture
def roles(tmp_path: Path) -> Path:
    path = tmp_path / "roles.yaml"
    path.write_text(ROLES)
    return path


@pytest.fixture
def page(tmp_path: Path, roles: Path) -> Iterator[Page]:
    """A page behind a proxy on this machine."""
    given = {"page_proxy_user": "X-Remote-User", "page_proxy_groups": "X-Remote-Groups", "page_roles": roles}
    with page_with(tmp_path, page_proxy_from="127.0.0.1", **given) as found:
        yield found


def test_the_proxys_user_has_the_highest_role_of_their_groups_and_is_noted_once(page: Page) -> None:
    with page.client(headers={"x-remote-user": "ana", "x-remote-groups": "staff, analysts"}) as client:
        shown = client.get("/")
        assert shown.status_code == 200
        assert ">decide<" in shown.text
        assert "Sign out" not in shown.text
        assert client.post("/next", data={"form_token": token_in(shown)}).status_code == 303
        assert client.post("/next").status_code == 403
    assert what_was_done(page.database) == [("ana", "sign in")]


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("x-remote-user", "")],
        [("x-remote-user", "ana")],
        [("x-remote-user", "ana"), ("x-remote-groups", "staff")],
        [("x-remote-user", "ana"), ("x-remote-user", "root"), ("x-remote-groups", "leads")],
        [("x-remote-user", "a" * 500), ("x-remote-groups", "leads")],
        [("x_remote_user", "ana"), ("x-remote-groups", "leads")],
    ],
)
def test_who_the_proxy_does_not_name_or_who_has_no_role_is_refused(page: Page, headers: list[tuple[str, str]]) -> None:
    with page.client() as client:
        assert client.get("/", headers=headers).status_code == 403


def test_the_same_headers_from_any_other_address_count_for_nothing(tmp_path: Path, roles: Path) -> None:
    users = write_users(tmp_path / "users.yaml", ana="look")
    given = {"page_proxy_user": "X-Remote-User", "page_proxy_groups": "X-Remote-Groups", "page_roles": roles}
    spoofed = {
        "x-remote-user": "root",
        "x-remote-groups": "leads",
        "x-forwarded-for": "10.0.0.1",
        "forwarded": "for=10.0.0.1",
        "x-real-ip": "10.0.0.1",
    }
    with page_with(tmp_path, page_proxy_from="10.0.0.1", page_users=users, **given) as page:
        with page.client(headers=spoofed) as client:
            assert client.get("/").status_code == 303
            sign_in(client, "ana")
            assert ">look<" in client.get("/").text
        assert what_was_done(page.database) == [("ana", "sign in")]


def test_a_change_of_the_mapping_counts_within_a_second_or_two_and_a_broken_one_does_not(
    page: Page, roles: Path
) -> None:
    import time

    with page.client(headers={"x-remote-user": "ana", "x-remote-groups": "analysts"}) as client:
        roles.write_text("look: [analysts]\n")
        time.sleep(1.1)
        assert ">look<" in client.get("/").text
        roles.write_text("look: 7\n")
        time.sleep(1.1)
        assert ">look<" in client.get("/").text
