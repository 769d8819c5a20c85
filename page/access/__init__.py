"""Who may do what: the user of a request, and what that user's role allows."""

import time
from collections.abc import Awaitable, Callable
from typing import Final

import anyio.to_thread
from fastapi import Request
from markupsafe import Markup

from page.access.forms import SAFE, check_form, check_origin, form_token, hidden
from page.access.users import NOBODY_ELSE, ROLES, Role, SignInNeeded, User
from page.access.ways import Access, Identity
from page.errors import Refused

__all__ = [
    "NOBODY_ELSE", "ROLES", "Access", "Identity", "Role", "SignInNeeded", "User", "access_of", "hidden_field", "identity_of",
    "require",
]  # fmt: skip

_NANOSECONDS: Final = 1_000_000


def access_of(request: Request) -> Access:
    """The ways to sign in of the page that a request is for."""
    access: Access = request.app.state.access
    return access


def identity_of(request: Request) -> Identity | None:
    """Who a request is from, once `require` has found out."""
    found: Identity | None = getattr(request.state, "identity", None)
    return found


def require(role: Role) -> Callable[[Request], Awaitable[User]]:
    """A dependency that gives the user of a request.

    Raises `Refused` where that user may not do what the role allows, or another site sent the request, and `SignInNeeded`.
    """

    async def user_of(request: Request) -> User:
        access = access_of(request)
        check_origin(request, access.address)
        found = await anyio.to_thread.run_sync(access.identify, request, time.time_ns() // _NANOSECONDS)
        if request.method not in SAFE:
            await check_form(request, form_token(access.key, found.binding))
        request.state.identity = found
        if not found.user.may(role):
            raise Refused(f"only who may {role} can do this", 403)
        return found.user

    return user_of


def hidden_field(request: Request) -> Markup:
    """What each form that changes something holds, so that no other site can send it."""
    found = identity_of(request)
    return Markup("") if found is None else hidden(form_token(access_of(request).key, found.binding))
