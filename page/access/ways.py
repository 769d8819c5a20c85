"""Which ways to sign in the settings name, and who a request is from by them."""

import ipaddress
import logging
import threading
import time
from collections import OrderedDict
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from fastapi import Request

from page.access.groups import Groups, read_groups
from page.access.kept_file import KeptFile
from page.access.provider import Provider, Registered
from page.access.proxy import Network, ProxyHeaders, address_of, is_from, networks
from page.access.secret import secret_key, signature
from page.access.sessions import Sessions
from page.access.throttle import Throttle, network_of
from page.access.user_file import read_users
from page.access.users import NOBODY_ELSE, SignInNeeded, User
from page.errors import PageError, Refused
from page.store.alert import kept
from page.store.database import Database
from page.store.history import Event, record
from settings import Settings

_log = logging.getLogger(__name__)

DONE: Final = "/sign-in/done"
"""Where the provider sends people back to."""

_MINUTE_MS: Final = 60_000
_MOST_SEEN: Final = 1_000
_REFUSED_A_MINUTE: Final = 60


class Identity(NamedTuple):
    """Who a request is from. binding: what the tokens of its forms are bound to."""

    user: User
    binding: str


class Access:
    """The ways to sign in. Safe to use by several threads."""

    def __init__(self, settings: Settings, database: Database) -> None:
        """Raises `PageError` where the settings can't be used, or would let anybody in."""
        self._database = database
        self.key = secret_key(settings.page_data)
        mapping = None if settings.page_roles is None else KeptFile(settings.page_roles, read_groups)
        self.users = None if settings.page_users is None else KeptFile(settings.page_users, read_users)
        self.address = own_address(settings)
        self._trusted = networks(settings.page_proxy_from)
        self.proxy = _proxy(settings, mapping, self._trusted)
        self.provider = _provider(settings, mapping, self.address, self.key)
        self.secure = settings.page_tls_certificate is not None or (self.address or "").startswith("https:")
        self.sessions = Sessions(
            database,
            round(settings.page_idle_minutes * _MINUTE_MS),
            round(settings.page_session_hours * 60 * _MINUTE_MS),
        )
        self.throttle = Throttle(time.monotonic)
        self._lock = threading.Lock()
        self._refused = (0, 0)
        self._seen: OrderedDict[tuple[str, str, str], None] = OrderedDict()
        if self.is_open and not _is_loopback(settings.page_host):
            raise PageError(
                f"on {settings.page_host} the page needs a sign-in: name --page-users, --page-proxy-user or "
                "--page-oidc-issuer (docs/page.md); without one it listens on 127.0.0.1 alone"
            )

    @property
    def is_open(self) -> bool:
        """Whether there is no sign-in: the page is for this machine alone."""
        return self.users is None and self.proxy is None and self.provider is None

    @property
    def cookie(self) -> str:
        """The name of the session's cookie; with __Host- no other site below the same domain can set it."""
        return "__Host-scoreline" if self.secure else "scoreline"

    def identify(self, request: Request, now: int, by_person: bool = True) -> Identity:
        """Who a request is from. Raises `SignInNeeded` and `Refused`. now: ms. by_person: false for what goes on by itself."""
        if self.is_open:
            _check_here(request)
            return Identity(NOBODY_ELSE, "this machine")
        by_proxy = None if self.proxy is None else self.proxy.user_of(request)
        if by_proxy is not None:
            self._note_proxy(by_proxy, self.peer(request), now)
            return Identity(by_proxy, f"proxy {by_proxy.name}")
        token = request.cookies.get(self.cookie, "")
        active = by_person and request.headers.get("sec-fetch-mode", "navigate") == "navigate"
        user = self.user_of(token, now, active)
        if user is None:
            if self.proxy is not None and self.users is None and self.provider is None:
                raise Refused("this page is opened through the proxy that signs people in", 403)
            raise SignInNeeded
        return Identity(user, f"session {token}")

    def user_of(self, token: str, now: int, active: bool) -> User | None:
        """Whose session this is. A user who was taken out, or has another password, has none; a changed role counts at once."""
        found = self.sessions.find(token, now, active)
        if found is None:
            return None
        if found.way == "provider":
            return None if self.provider is None else User(found.name, found.role, session=True)
        named = None if self.users is None else self.users.value.get(found.name)
        if named is None or self.stamp(named.hash) != found.stamp:
            self.sessions.end(token)
            return None
        return User(found.name, named.role, session=True)

    def stamp(self, password_hash: str) -> str:
        """By which a session is known as begun with the password of this hash."""
        return signature(self.key, "password", password_hash)[:32]

    def peer(self, request: Request) -> str:
        """The address of who asks: what the proxy says last, where the connection is the proxy's, else the connection's."""
        peer = str(address_of(request) or "unknown")
        if is_from(request, self._trusted):
            said = ",".join(request.headers.getlist("x-forwarded-for")).split(",")[-1].strip()
            peer = network_of(said)[:64] if said else peer
        return peer

    def note(self, who: str, what: str, now: int, **detail: object) -> None:
        """Add to the page's history who signed in or out, or could not."""
        with self._database.begin() as connection:
            record(connection, Event(now, kept(who), what, None, None, detail))

    def note_refused(self, who: str, way: str, address: str, now: int) -> None:
        """Note a sign-in that did not work; of a flood of them the first ones of each minute.

        who: empty where no user has the name that was typed; it may be a password, and is kept nowhere.
        """
        with self._lock:
            minute, count = self._refused
            self._refused = (now // _MINUTE_MS, count + 1 if minute == now // _MINUTE_MS else 1)
            is_flood = self._refused[1] > _REFUSED_A_MINUTE
        if not is_flood:
            _log.warning("sign-in by %s refused, for %s from %s", way, who or "nobody known", address)
            self.note(who or "nobody known", "sign in refused", now, way=way, address=address)

    def _note_proxy(self, user: User, address: str, now: int) -> None:
        """Whom the proxy has signed in is noted when they are first seen, since each request says it again."""
        key = (user.name, user.role, address)
        with self._lock:
            if key in self._seen:
                return
            self._seen[key] = None
            if len(self._seen) > _MOST_SEEN:
                self._seen.popitem(last=False)
        self.note(user.name, "sign in", now, way="proxy", role=user.role, address=address)


def own_address(settings: Settings) -> str | None:
    """The page's origin as people see it, https://host[:port]; None where the settings don't say. Raises `PageError`."""
    if settings.page_address is None:
        return None
    parts = urlsplit(settings.page_address)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path not in ("", "/") or parts.query:
        raise PageError("--page-address has to be https://host or https://host:port, without a path")
    return f"{parts.scheme}://{parts.netloc}".lower()


def _proxy(settings: Settings, mapping: KeptFile[Groups] | None, trusted: tuple[Network, ...]) -> ProxyHeaders | None:
    if not settings.page_proxy_user:
        return None
    if not trusted or mapping is None:
        raise PageError("--page-proxy-user needs --page-proxy-from, the proxy's addresses, and --page-roles")
    return ProxyHeaders(settings.page_proxy_user, settings.page_proxy_groups, trusted, mapping)


def _provider(settings: Settings, mapping: KeptFile[Groups] | None, address: str | None, key: bytes) -> Provider | None:
    issuer = settings.page_oidc_issuer
    if issuer is None:
        return None
    if not settings.page_oidc_client or mapping is None or address is None:
        raise PageError("--page-oidc-issuer needs --page-oidc-client, --page-roles and --page-address")
    if not issuer.startswith("https://") and not _is_loopback(urlsplit(issuer).hostname or ""):
        raise PageError("--page-oidc-issuer has to begin with https://")
    secret = settings.page_oidc_secret.get_secret_value() if settings.page_oidc_secret else None
    names = settings.page_oidc_name, settings.page_oidc_groups
    registered = Registered(issuer, settings.page_oidc_client, secret or None, address + DONE, *names)
    return Provider(registered, mapping, key)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check_here(request: Request) -> None:
    """Without a sign-in nobody may read the page under a name of their own that leads to this machine (DNS rebinding)."""
    try:
        host = urlsplit(f"//{request.headers.get('host', '')}").hostname
    except ValueError:
        host = None
    if host not in ("127.0.0.1", "localhost", "::1"):
        raise Refused("this page is for this machine alone", 403)
