"""Who a case is given to: one of them, or several at once."""

from typing import Annotated, Final, Literal

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from page.access import User, access_of
from page.errors import Refused
from page.parts import now_ms, parts_of
from page.routes.bulk import LARGEST, Numbers
from page.routes.queue import Decides, InOrder, Which, address
from page.store import bulk
from page.store import case as store

router: Final = APIRouter()

Whom = Annotated[Literal["me", "nobody", "user"], Form()]


@router.post("/bulk/assign")
def assign(
    request: Request,
    user: Decides,
    which: Which,
    order: InOrder,
    whom: Whom = "user",
    case: Numbers = [],  # noqa: B006
    to: Annotated[str, Form(max_length=256)] = "",
) -> Response:
    """Give cases to oneself, to somebody, or to nobody."""
    if not case:
        raise Refused("nothing was chosen: tick the rows first", 422)
    owner = _owner(request, user, whom, to)
    with parts_of(request).database.begin() as connection:
        done = bulk.assign(connection, case, owner, user.name, now_ms())
    return RedirectResponse(f"/?{address(which, order)}&assigned_now={done}".replace("?&", "?"), 303)


@router.post("/cases/{case_id}/assign")
def assign_one(
    request: Request,
    user: Decides,
    case_id: int,
    whom: Whom = "user",
    to: Annotated[str, Form(max_length=256)] = "",
) -> Response:
    """Give one case to somebody, or to nobody."""
    if not 0 <= case_id <= LARGEST:
        raise Refused(f"there is no case {case_id}", 404)
    owner = _owner(request, user, whom, to)
    with parts_of(request).database.begin() as connection:
        store.assign(connection, case_id, owner, user.name, now_ms())
    return RedirectResponse(f"/cases/{case_id}", 303)


def _owner(request: Request, user: User, whom: str, to: str) -> str | None:
    """Whom a case is given to; None for nobody.

    Raises `Refused` where all users are known by a file, and this is none who may decide.
    """
    clean = "" if whom == "nobody" else to.replace("\0", "").strip()
    if whom == "me" or not clean:
        return user.name if whom == "me" else None
    access = access_of(request)
    if access.users is not None and access.proxy is None and access.provider is None:
        named = access.users.value.get(clean)
        if named is None or not User(clean, named.role).may("decide"):
            raise Refused(f"there is no user {clean[:64]!r} who may decide", 422)
    return clean
