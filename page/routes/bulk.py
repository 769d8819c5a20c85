"""What an analyst does with several cases or alerts at once, and what became of it."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from page.errors import Refused
from page.parts import now_ms, parts_of
from page.rendering import render
from page.routes.queue import Decides, InOrder, Looks, Which, address
from page.store import bulk, verdicts
from page.store.bulk import Chosen
from page.store.verdicts import LONGEST_NOTE, Verdict

router: Final = APIRouter()

LARGEST: Final = 2**62
Token = Annotated[str, Form(min_length=8, max_length=64)]
Numbers = Annotated[list[Annotated[int, Form(ge=0, le=LARGEST)]], Form()]


@router.post("/bulk/verdict")
def say(
    request: Request,
    user: Decides,
    which: Which,
    order: InOrder,
    verdict: Annotated[Verdict, Form()],
    token: Token,
    case: Numbers = [],  # noqa: B006  # FastAPI makes a new one
    alert: Numbers = [],  # noqa: B006
    newest: Annotated[int, Form(ge=0, le=LARGEST)] = 0,
    note: Annotated[str, Form(max_length=LONGEST_NOTE)] = "",
) -> Response:
    """Say one thing of all that was ticked, and show of what it was said."""
    if not case and not alert:
        raise Refused("nothing was chosen: tick the rows first", 422)
    with parts_of(request).database.begin() as connection:
        said = bulk.say(connection, Chosen(case, alert, newest), which, verdict, note, user.name, now_ms(), token)
    held = ",".join(map(str, list(said.held)[:20]))
    back = address(which, order)
    return RedirectResponse(f"/said?token={token}&held={held}&{back}".rstrip("&"), 303)


@router.get("/said")
def said(
    request: Request,
    user: Looks,
    which: Which,
    order: InOrder,
    token: Annotated[str, Query(max_length=64)] = "",
    held: Annotated[str, Query(max_length=500)] = "",
) -> HTMLResponse:
    """Of what one form was said, each to be taken back, or all."""
    with parts_of(request).database.read() as connection:
        rows = verdicts.said_by_form(connection, token, user.name)
    left_out = [number for number in held.split(",") if number.isascii() and number.isdecimal()]
    values: dict[str, Any] = {"rows": rows, "token": token, "held": left_out, "query": address(which, order)}
    return render(request, "said.html.j2", user, **values)


@router.post("/said/undo")
def undo(
    request: Request,
    user: Decides,
    token: Token,
    alert: Annotated[int | None, Form(ge=0, le=LARGEST)] = None,
) -> Response:
    """Take back what was said by a form: of one alert, or of all."""
    with parts_of(request).database.begin() as connection:
        found = verdicts.undo(connection, user.name, now_ms(), token, alert)
    if found is None:
        raise Refused("there is nothing of yours to take back", 404)
    return RedirectResponse(f"/said?token={token}", 303)
