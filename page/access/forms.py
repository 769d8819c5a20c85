"""No other site may change anything in a user's name: where a form is from, and the token in it."""

from typing import Final
from urllib.parse import urlsplit

from fastapi import Request
from markupsafe import Markup

from page.access.secret import same, signature
from page.errors import Refused

FIELD: Final = "form_token"
HEADER: Final = "x-form-token"
"""Where a script has no form to put it in."""

SAFE: Final = ("GET", "HEAD", "OPTIONS")
"""Methods that change nothing."""


def form_token(key: bytes, binding: str) -> str:
    """What each form that changes something holds. binding: the session, or whoever it is of."""
    return signature(key, "form", binding)


def hidden(token: str) -> Markup:
    """The field that holds it."""
    return Markup('<input type="hidden" name="{}" value="{}">').format(FIELD, token)


async def check_form(request: Request, token: str) -> None:
    """Raises `Refused` unless a request that changes something holds this token."""
    given = request.headers.get(HEADER)
    if given is None:
        field = (await request.form()).get(FIELD)
        given = field if isinstance(field, str) else ""
    if not same(given, token):
        raise Refused("this form is too old, or not of this page: go back, load the page again, and send it again", 403)


def check_origin(request: Request, address: str | None) -> None:
    """Raises `Refused` where a browser says that another site sent this. address: under which people open the page."""
    if request.method in SAFE:
        return
    origin = request.headers.get("origin")
    if origin is not None:
        own = origin.lower() == address if address else urlsplit(origin).netloc == request.headers.get("host")
    else:
        own = request.headers.get("sec-fetch-site", "none") in ("same-origin", "none")
    if not own:
        raise Refused("this form was sent by another site", 403)
