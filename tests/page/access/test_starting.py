"""When the page starts at all, and the files that it keeps for itself."""

import stat
from pathlib import Path
from typing import Any

import pytest

from page.access import Access
from page.access.secret import secret_key
from page.errors import PageError
from page.store.database import open_database
from settings import Settings
from tests.page.access.pages import page_with, write_users


def access_of(folder: Path, **settings: Any) -> Access:
    database = open_database(f"sqlite:///{folder / 'cases.db'}")
    try:
        return Access(Settings(page_data=folder, **settings), database)
    finally:
        database.close()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "page.example"])
def test_without_a_sign_in_the_page_is_for_this_machine_alone(tmp_path: Path, host: str) -> None:
    with pytest.raises(PageError, match=f"on {host} the page needs a sign-in"):
        access_of(tmp_path, page_host=host)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.0.0.2"])
def test_on_loopback_it_needs_none_and_says_so(tmp_path: Path, host: str) -> None:
    assert access_of(tmp_path, page_host=host).is_open


def test_with_users_it_may_listen_anywhere(tmp_path: Path) -> None:
    users = write_users(tmp_path / "users.yaml", ana="look")
    assert not access_of(tmp_path, page_host="0.0.0.0", page_users=users).is_open


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"page_users": "nowhere.yaml"}, "no such file"),
        ({"page_proxy_user": "x-user"}, "--page-proxy-from"),
        ({"page_proxy_user": "x-user", "page_proxy_from": "10.0.0.0/33"}, "addresses or networks"),
        ({"page_oidc_issuer": "https://id.example"}, "--page-oidc-client"),
        ({"page_address": "ftp://x"}, "--page-address"),
        ({"page_address": "https://x/path"}, "--page-address"),
    ],
)
def test_settings_that_would_not_work_are_one_line(tmp_path: Path, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(PageError, match=said):
        access_of(tmp_path, **settings)


def test_a_plain_http_provider_elsewhere_is_refused(tmp_path: Path) -> None:
    roles = tmp_path / "roles.yaml"
    roles.write_text("look: ['*']")
    given = {"page_oidc_client": "page", "page_roles": roles, "page_address": "https://page.example"}
    with pytest.raises(PageError, match="https://"):
        access_of(tmp_path, page_oidc_issuer="http://id.example", **given)


@pytest.mark.parametrize(
    "text", ["ana: {hash: plain, role: look}", "ana: {role: look}", "- x", "a b: {hash: x, role: look}"]
)
def test_a_file_of_users_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    users = tmp_path / "users.yaml"
    users.write_text(text)
    with pytest.raises(PageError, match=r"users\.yaml can't be read"):
        access_of(tmp_path, page_users=users)


def test_the_key_is_made_once_for_its_owner_alone_and_not_used_where_others_can_read_it(tmp_path: Path) -> None:
    key = secret_key(tmp_path)
    assert secret_key(tmp_path) == key
    assert len(key) == 32
    path = tmp_path / "secret"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o644)
    with pytest.raises(PageError, match="chmod 600"):
        secret_key(tmp_path)
    path.chmod(0o600)
    path.write_bytes(b"short")
    with pytest.raises(PageError, match="cut short"):
        secret_key(tmp_path)


def test_without_a_sign_in_the_page_says_so_and_other_names_for_this_machine_are_refused(tmp_path: Path) -> None:
    with page_with(tmp_path) as page, page.client() as client:
        assert "no sign-in: this machine alone" in client.get("/").text
        assert client.get("/sign-in").headers["location"] == "/"
        assert client.get("/", headers={"host": "evil.example:8090"}).status_code == 403
        assert client.get("/", headers={"host": "[evil"}).status_code in (400, 403)
        assert client.post("/next").status_code == 403
