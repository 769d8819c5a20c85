"""Signing in and out."""

import math
import re
import secrets
from typing import Annotated, Final
from urllib.parse import urlencode, urlsplit

import anyio
import anyio.to_thread
from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import RedirectResponse, Response

from page.access import Access, User, access_of, require
from page.access.forms import check_form, check_origin, form_token, hidden
from page.access.passwords import LONGEST, matches
from page.access.provider import FLOW_SECONDS
from page.access.sessions import Way
from page.access.user_file import Named
from page.access.ways import DONE
from page.errors import Refused
from page.outside import render_outside
from page.parts import now_ms

router: Final = APIRouter()

_INSIDE: Final = re.compile(r"/(?![/\\])[^\\\x00-\x20\x7f]*")
_LONGEST_ADDRESS: Final = 2_000
_AT_ONCE: Final = anyio.CapacityLimiter(2)
"""Passwords that are compared at once: each takes 64 MiB and some 50 ms of a core."""
_MOST_WAITING: Final = 20
_WRONG: Final = "The name or the password is not right."

Words = Annotated[str, Form(max_length=LONGEST)]
After = Annotated[str, Query(max_length=_LONGEST_ADDRESS)]


def inside(address: str) -> str:
    """An address of this page, as it came; the queue instead of any other.

    >>> [inside(one) for one in ("/cases/3?order=time", "//evil.example", "/\\\\evil.example", "https://evil.example")]
    ['/cases/3?order=time', '/', '/', '/']
    """
    own = _INSIDE.fullmatch(address) is not None and not address.startswith("/sign-")
    return address if own and len(address) <= _LONGEST_ADDRESS else "/"


@router.get("/sign-in")
def sign_in(request: Request, after: After = "/") -> Response:
    """The form."""
    return _form(request, inside(after))


@router.post("/sign-in")
async def check_password(
    request: Request, name: Words = "", password: Words = "", after: Annotated[str, Form()] = "/"
) -> Response:
    """Begin a session for the user of a name and a password."""
    access, after = access_of(request), inside(after)
    if access.users is None:
        raise Refused("nobody signs in here by a password", 404)
    check_origin(request, access.address)
    before = request.cookies.get(_form_cookie(access), "")
    if not before:
        raise Refused("signing in needs cookies: let the browser keep this page's, and load it again", 403)
    await check_form(request, form_token(access.key, f"visitor {before}"))
    address = access.peer(request)
    wait = access.throttle.begin(name, address)
    if wait > 0:
        return _later(request, after, name, wait)
    named = access.users.value.get(name)
    if _AT_ONCE.statistics().tasks_waiting >= _MOST_WAITING:
        raise Refused("too many sign in at this moment: try again", 503)
    kept_hash = None if named is None else named.hash
    right = await anyio.to_thread.run_sync(matches, kept_hash, password, limiter=_AT_ONCE)
    if named is None or not right:
        await anyio.to_thread.run_sync(access.note_refused, name if named else "", "password", address, now_ms())
        return _form(request, after, _WRONG, name, 403)
    access.throttle.worked(name, address)
    return await anyio.to_thread.run_sync(_begin_named, request, name, named, after)


@router.get("/sign-in/start")
def start(request: Request, after: After = "/") -> Response:
    """Go to the provider."""
    access = access_of(request)
    if access.provider is None:
        raise Refused("nobody signs in here by a provider", 404)
    address, cookie = access.provider.begin(inside(after))
    answer = RedirectResponse(address, 303)
    _set(answer, access, _flow_cookie(access), cookie, FLOW_SECONDS)
    return answer


@router.get(DONE)
def done(request: Request, state: After = "", code: After = "") -> Response:
    """Back from the provider: begin a session for whom it names."""
    access = access_of(request)
    if access.provider is None:
        raise Refused("nobody signs in here by a provider", 404)
    address = access.peer(request)
    wait = access.throttle.begin("at the provider " + address, address)
    if wait > 0:
        return _later(request, "/", "", wait)
    try:
        user, after = access.provider.finish(request.cookies.get(_flow_cookie(access), ""), state, code)
    except Refused as error:
        access.note_refused("", "provider", address, now_ms())
        return _form(request, "/", str(error), "", error.status)
    access.throttle.worked("at the provider " + address, address)
    answer = _begin(request, user, "provider", "", inside(after))
    answer.delete_cookie(_flow_cookie(access), secure=access.secure, httponly=True)
    return answer


@router.post("/sign-out")
def sign_out(request: Request, user: Annotated[User, Depends(require("look"))]) -> Response:
    """End the session, on the server too."""
    access = access_of(request)
    access.sessions.end(request.cookies.get(access.cookie, ""))
    access.note(user.name, "sign out", now_ms(), address=access.peer(request))
    answer = RedirectResponse("/sign-in", 303)
    answer.delete_cookie(access.cookie, secure=access.secure, httponly=True)
    return answer


def _begin_named(request: Request, name: str, named: Named, after: str) -> Response:
    stamp = access_of(request).stamp(named.hash)
    return _begin(request, User(name, named.role), "password", stamp, after)


def _begin(request: Request, user: User, way: Way, stamp: str, after: str) -> Response:
    """A session with a token that nobody knew before; the one that this browser had ends."""
    access, now = access_of(request), now_ms()
    before = request.cookies.get(access.cookie)
    if before:
        access.sessions.end(before)
    token = access.sessions.begin(user.name, user.role, way, stamp, now)
    access.note(user.name, "sign in", now, way=way, role=user.role, address=access.peer(request))
    answer = RedirectResponse(after, 303)
    _set(answer, access, access.cookie, token, None)
    answer.delete_cookie(_form_cookie(access), secure=access.secure, httponly=True)
    return answer


def _form(request: Request, after: str, text: str = "", name: str = "", status: int = 200) -> Response:
    access = access_of(request)
    if access.is_open or (access.users is None and access.provider is None):
        return RedirectResponse("/", 303)
    visitor = request.cookies.get(_form_cookie(access)) or secrets.token_urlsafe(32)
    host = None if access.provider is None else urlsplit(access.provider.issuer).netloc
    answer = render_outside(
        "sign_in.html.j2",
        status,
        text=text,
        name=name[:64],
        after=after,
        by_password=access.users is not None,
        provider=host,
        field=hidden(form_token(access.key, f"visitor {visitor}")),
    )
    _set(answer, access, _form_cookie(access), visitor, None)
    return answer


def _later(request: Request, after: str, name: str, wait: float) -> Response:
    minutes = math.ceil(wait / 60)
    answer = _form(request, after, f"Too many tries: try again in {minutes} min.", name, 429)
    answer.headers["retry-after"] = str(math.ceil(wait))
    return answer


def _set(answer: Response, access: Access, name: str, value: str, seconds: int | None) -> None:
    answer.set_cookie(name, value, max_age=seconds, path="/", secure=access.secure, httponly=True, samesite="lax")


def _form_cookie(access: Access) -> str:
    return f"{access.cookie}-visitor"


def _flow_cookie(access: Access) -> str:
    return f"{access.cookie}-provider"


def sent_to_sign_in(request: Request) -> Response:
    """The answer where nobody is signed in: the form where a person opens a page, else a refusal in words."""
    opens = request.method in ("GET", "HEAD") and request.headers.get("sec-fetch-mode", "navigate") == "navigate"
    if not opens:
        return render_outside("outside.html.j2", 401, text="You are signed out, so nothing was changed: sign in again.")
    path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    query = "" if path == "/" else "?" + urlencode({"after": inside(path)})
    return RedirectResponse(f"/sign-in{query}", 303)
