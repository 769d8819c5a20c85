"""Signing in at a real OpenID provider: the whole flow over HTTP, and what an attacker would try in it."""

import warnings
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.page.access.pages import Page, page_with, what_was_done

with warnings.catch_warnings():
    # On import it uses authlib.jose and authlib's httpx client, both of which warn that they will go.
    warnings.simplefilter("ignore")
    from oidc_provider_mock import User, run_server_in_thread

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the provider's own code, in its threads

PEOPLE = [
    User(sub="1", claims={"preferred_username": "ana", "groups": ["analysts"]}),
    User(sub="2", claims={"preferred_username": "eve", "groups": ["staff"]}),
    User(sub="3", claims={"preferred_username": "line\nbreak", "groups": ["analysts"]}),
]


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    with run_server_in_thread(user_claims=PEOPLE, require_nonce=True) as server:
        yield f"http://localhost:{server.server_port}"


@pytest.fixture
def page(tmp_path: Path, issuer: str) -> Iterator[Page]:
    roles = tmp_path / "roles.yaml"
    roles.write_text("decide: [analysts]\n")
    given = {"page_oidc_issuer": issuer, "page_oidc_client": "page", "page_oidc_secret": "the page's secret"}
    with page_with(tmp_path, page_address="http://page.example", page_roles=roles, **given) as found:
        yield found


def consent(client: httpx.Client, sub: str, after: str = "/") -> str:
    """Go to the provider and sign in there; returns the address that it sends the browser back to."""
    begun = client.get("/sign-in/start", params={"after": after})
    assert begun.status_code == 303, begun.text
    asked = parse_qs(urlsplit(begun.headers["location"]).query)
    assert asked["code_challenge_method"] == ["S256"]
    assert {"state", "nonce", "code_challenge"} <= asked.keys()
    answer = httpx.post(begun.headers["location"], data={"sub": sub})
    assert answer.status_code == 302, answer.text
    back = urlsplit(answer.headers["location"])
    assert f"{back.scheme}://{back.netloc}{back.path}" == "http://page.example/sign-in/done"
    return f"{back.path}?{back.query}"


def test_the_whole_flow_ends_in_a_session_with_the_role_of_the_claim(page: Page) -> None:
    with page.client() as client:
        assert "Sign in at" in client.get("/sign-in").text
        done = client.get(consent(client, "1", after="/?order=time"))
        assert (done.status_code, done.headers["location"]) == (303, "/?order=time")
        shown = client.get("/")
        assert "ana" in shown.text
        assert ">decide<" in shown.text
        assert "Sign out" in shown.text
    assert what_was_done(page.database) == [("ana", "sign in")]


@pytest.mark.parametrize("sub", ["2", "3"])
def test_who_has_no_role_or_no_usable_name_is_refused(page: Page, sub: str) -> None:
    with page.client() as client:
        assert client.get(consent(client, sub)).status_code == 403
        assert client.get("/").status_code == 303
    assert what_was_done(page.database) == [("nobody known", "sign in refused")]


def test_an_answer_that_this_browser_did_not_ask_for_signs_nobody_in(page: Page) -> None:
    with page.client() as attacker, page.client() as victim:
        back = consent(attacker, "1")
        assert victim.get(back).status_code == 400
        consent(victim, "1")
        assert victim.get(back).status_code == 400
        code = parse_qs(urlsplit(back).query)["code"][0]
        own = parse_qs(urlsplit(consent(victim, "1")).query)["state"][0]
        # Another's code with one's own state: PKCE and the nonce bind a code to the browser that asked for it.
        assert victim.get("/sign-in/done", params={"code": code, "state": own}).status_code == 403
        assert victim.get("/").status_code == 303


def test_a_code_is_used_once_and_a_refusal_of_the_provider_is_said_in_our_words(page: Page) -> None:
    with page.client() as client:
        back = consent(client, "1")
        assert client.get(back).status_code == 303
        assert client.get(back).status_code == 400
        refused = client.get("/sign-in/done?error=access_denied&error_description=<script>alert(1)</script>")
        assert refused.status_code == 400
        assert "<script>" not in refused.text


def test_a_provider_that_is_not_there_is_said_in_words(tmp_path: Path) -> None:
    roles = tmp_path / "roles.yaml"
    roles.write_text("decide: ['*']\n")
    given = {"page_oidc_issuer": "http://127.0.0.1:9", "page_oidc_client": "page", "page_roles": roles}
    with page_with(tmp_path, page_address="http://page.example", **given) as page, page.client() as client:
        answer = client.get("/sign-in/start")
        assert answer.status_code == 502
        assert "be reached: try again later" in answer.text
