"""Sign-in by OpenID Connect: the authorization code flow with PKCE, state and nonce, by authlib."""

import logging
import secrets
import threading
import time
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from authlib.integrations.base_client import BaseApp, OAuth2Mixin, OpenIDMixin
from authlib.integrations.requests_client import OAuth2Session
from itsdangerous import BadData, URLSafeTimedSerializer
from requests import RequestException

from page.access.groups import Groups, role_of
from page.access.kept_file import KeptFile
from page.access.users import User
from page.errors import Refused

_log = logging.getLogger(__name__)

FLOW_SECONDS: Final = 600
"""How long somebody may take at the provider."""

_ANSWER_SECONDS: Final = 10.0
_METADATA_SECONDS: Final = 3_600.0
_LEEWAY_SECONDS: Final = 60
_SIGNED: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""How an ID token may be signed: by the provider's own key alone, so neither `none` nor by the client's secret."""


class Registered(NamedTuple):
    """This page, as the provider knows it. name_claim, groups_claim: where an ID token has a user's name and groups."""

    issuer: str
    client_id: str
    secret: str | None
    redirect_uri: str
    name_claim: str
    groups_claim: str


class _Client(OAuth2Mixin, OpenIDMixin, BaseApp):  # type: ignore[misc]  # authlib has no types
    """authlib's client, of a provider that has to be who it says."""

    client_cls = OAuth2Session

    def load_server_metadata(self) -> dict[str, Any]:
        """What the provider says about itself."""
        found: dict[str, Any] = super().load_server_metadata()
        issuer = str(found.get("issuer"))
        if issuer.rstrip("/") != self.name.rstrip("/"):
            raise ValueError(f"the provider calls itself {issuer!r}, not {self.name!r}")
        said = found.get("id_token_signing_alg_values_supported", ["RS256"])
        found["id_token_signing_alg_values_supported"] = [one for one in said if one in _SIGNED]
        return found


class Provider:
    """An OpenID provider at which people sign in. Safe to use by several threads."""

    def __init__(self, registered: Registered, mapping: KeptFile[Groups], key: bytes) -> None:
        self._registered, self._mapping = registered, mapping
        self._lock = threading.Lock()
        self._flows = URLSafeTimedSerializer(key, salt="sign-in at the provider")
        self._known: _Client | None = None
        self._known_at = 0.0

    def _client(self) -> _Client:
        """A client that knows what the provider says about itself, at most an hour old."""
        with self._lock:
            if self._known is None or time.monotonic() - self._known_at > _METADATA_SECONDS:
                new = self._new_client()
                new.load_server_metadata()
                self._known, self._known_at = new, time.monotonic()
            return self._known

    def _new_client(self) -> _Client:
        registered = self._registered
        return _Client(
            None,
            registered.issuer,
            client_id=registered.client_id,
            client_secret=registered.secret,
            server_metadata_url=registered.issuer.rstrip("/") + "/.well-known/openid-configuration",
            client_kwargs={
                "scope": "openid profile email",
                "code_challenge_method": "S256",
                "default_timeout": _ANSWER_SECONDS,
            },
        )

    @property
    def issuer(self) -> str:
        """The provider's name for itself."""
        return self._registered.issuer

    def begin(self, after: str) -> tuple[str, str]:
        """(the provider's address to go to, the cookie by which this browser is known when it comes back).

        after: the page to show in the end. Raises `Refused` where the provider can't be reached.
        """
        state, nonce, verifier = (secrets.token_urlsafe(48) for _ in range(3))
        with _reachable():
            made = self._client().create_authorization_url(
                self._registered.redirect_uri, state=state, nonce=nonce, code_verifier=verifier
            )
        return str(made["url"]), str(self._flows.dumps([state, nonce, verifier, after]))

    def finish(self, cookie: str, state: str, code: str) -> tuple[User, str]:
        """(who signed in, the page to show). Raises `Refused` where it is not what `begin` began, or may not."""
        try:
            known, nonce, verifier, after = self._flows.loads(cookie, max_age=FLOW_SECONDS)
        except (BadData, ValueError) as error:
            raise Refused("this sign-in was not begun here, or too long ago: begin again", 400) from error
        if not code or not secrets.compare_digest(str(known).encode(), state.encode("utf-8", "replace")):
            raise Refused("this sign-in was not begun here: begin again", 400)
        with _reachable():
            client = self._client()
            token = client.fetch_access_token(self._registered.redirect_uri, code=code, code_verifier=verifier)
            claims = client.parse_id_token(token, nonce, leeway=_LEEWAY_SECONDS)
        if claims is None:
            raise Refused("the provider did not say who signed in", 502)
        return self._user_of(claims), str(after)

    def _user_of(self, claims: Mapping[str, Any]) -> User:
        name = claims.get(self._registered.name_claim) or claims["sub"]
        if not isinstance(name, str) or not 0 < len(name) <= 128 or not name.isprintable():
            raise Refused("the provider's name of this user can't be used", 403)
        role = role_of(_texts(claims.get(self._registered.groups_claim)), self._mapping.value)
        if role is None:
            raise Refused(f"{name} has no role on this page", 403)
        return User(name, role, session=True)


class _reachable:  # noqa: N801  # used as a verb
    """What the provider's side raises becomes one sentence for the person, and a line in the log."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None or isinstance(error, Refused) or not isinstance(error, Exception):
            return
        # authlib, requests and joserfc raise many kinds; what the provider says may hold anything, and is for the log.
        _log.warning("sign-in at the provider failed: %s", " ".join(f"{type(error).__name__} {error}".split())[:500])
        if isinstance(error, RequestException):
            raise Refused("the provider can't be reached: try again later", 502) from error
        raise Refused("the provider did not confirm this sign-in: begin again", 403) from error


def _texts(value: object) -> Iterable[str]:
    if isinstance(value, str):
        return [value]
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
