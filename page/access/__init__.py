"""Who may do what: roles, and the user of a request. Without users the page is open on this machine alone, and says so."""

from collections.abc import Callable
from typing import Final, Literal, NamedTuple
from urllib.parse import urlsplit

from fastapi import Request
from markupsafe import Markup

from page.errors import Refused

Role = Literal["look", "decide", "administer"]
ROLES: Final[tuple[Role, ...]] = ("look", "decide", "administer")
"""Each may do what those before it may."""


class User(NamedTuple):
    """Who uses the page. signed_in: false where the page has no sign-in."""

    name: str
    role: Role
    signed_in: bool = True

    def may(self, role: Role) -> bool:
        """Whether this user may do what the role allows."""
        return ROLES.index(self.role) >= ROLES.index(role)


NOBODY_ELSE: Final = User("analyst", "administer", signed_in=False)
"""The user where there is no sign-in: whoever is on this machine."""


def require(role: Role) -> Callable[[Request], User]:
    """A dependency that gives the user of a request. Raises `Refused` where that user may not do what the role allows."""

    def user_of(request: Request) -> User:
        _check_origin(request)
        if not NOBODY_ELSE.may(role):
            raise Refused(f"only who may {role} can do this", 403)
        return NOBODY_ELSE

    return user_of


def hidden_field(request: Request) -> Markup:
    """What each form that changes something holds, so that no other site can send it."""
    del (
        request
    )  # there is no sign-in, and so no session that another site could use: `require` looks where a form is from
    return Markup("")


def _check_origin(request: Request) -> None:
    """No other site may send a form to a page that has no sign-in, nor read it under a name of its own."""
    host = request.headers.get("host", "")
    if urlsplit(f"//{host}").hostname not in ("127.0.0.1", "localhost", "::1"):
        raise Refused("this page is for this machine alone", 403)
    origin = request.headers.get("origin")
    if request.method != "GET" and origin is not None and urlsplit(origin).netloc != host:
        raise Refused("this form was sent by another site", 403)
