"""The queue of cases: filters and order stand in the address."""

import secrets
from dataclasses import asdict
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from sqlalchemy.exc import IntegrityError

from page.access import User, access_of, require
from page.errors import Refused
from page.parts import Parts, now_ms, parts_of
from page.rendering import render
from page.store import locks
from page.store.alert import kept
from page.store.queue import ORDERS, STATUSES, Filter, Order, Status, count, newest, next_case, rows
from page.store.verdicts import LONGEST_NOTE

router: Final = APIRouter()

ROWS: Final = 50
"""Cases on one page."""

_LAST_PAGE: Final = 2_000
_ATTEMPTS: Final = 10

Looks = Annotated[User, Depends(require("look"))]
Decides = Annotated[User, Depends(require("decide"))]


def _text(value: str) -> str | None:
    return kept(value.strip()) if value.strip() else None


def _number(value: str, least: float, most: float) -> float | None:
    try:
        return min(most, max(least, float(value)))
    except ValueError:
        return None


def page_number(text: str) -> int:
    """Which page an address asks for; the first where that can't be read."""
    return int(_number(text, 1, _LAST_PAGE) or 1)


def owners(request: Request) -> list[str]:
    """The names that a form offers to assign to: those of the users' file who may decide."""
    users = access_of(request).users
    named = {} if users is None else users.value
    return sorted(name for name, one in named.items() if User(name, one.role).may("decide"))


def filter_of(
    status: Annotated[str, Query()] = "open",
    score: Annotated[str, Query()] = "",
    worth: Annotated[str, Query()] = "",
    customer: Annotated[str, Query()] = "",
    merchant: Annotated[str, Query()] = "",
    country: Annotated[str, Query()] = "",
    model_version: Annotated[str, Query()] = "",
    rule: Annotated[str, Query()] = "",
    assigned: Annotated[str, Query()] = "",
) -> Filter:
    """The filter that an address names; what can't be read in it counts as not said. assigned: - for nobody's."""
    version = _number(model_version, 0, 2**31 - 1)
    known: Status = next((one for one in STATUSES if one == status), "open")
    return Filter(
        known,
        _number(score, 0, 1),
        _number(worth, 0, 1e300),
        _text(customer),
        _text(merchant),
        _text(country),
        None if version is None or version != version else int(version),
        _text(rule),
        "" if assigned == "-" else _text(assigned),
    )


def order_of(order: Annotated[str, Query()] = "exposure") -> Order:
    """By exposure unless the address says otherwise."""
    return next((one for one in ORDERS if one == order), "exposure")


Which = Annotated[Filter, Depends(filter_of)]
InOrder = Annotated[Order, Depends(order_of)]


def address(which: Filter, order: Order, page: int = 1) -> str:
    """The query string of a filter, an order and a page, without what is as by default.

    >>> address(Filter(customer="a b", assigned=""), "time", 2)
    'customer=a+b&assigned=-&order=time&page=2'
    """
    said = {name: value for name, value in asdict(which).items() if value is not None}
    if said["status"] == "open":
        del said["status"]
    if "assigned" in said:
        said["assigned"] = said["assigned"] or "-"
    if order != "exposure":
        said["order"] = order
    if page > 1:
        said["page"] = page
    return urlencode(said)


@router.get("/")
def queue(
    request: Request,
    user: Looks,
    which: Which,
    order: InOrder,
    page: Annotated[str, Query()] = "1",
    part: Annotated[str, Query()] = "",
    assigned_now: Annotated[str, Query(max_length=9)] = "",
) -> HTMLResponse:
    """The queue. part=rows: its rows alone, for the script."""
    number, now = page_number(page), now_ms()
    with parts_of(request).database.read() as connection:
        shown = newest(connection)
        found = rows(connection, which, order, now, ROWS, ROWS * (number - 1))
        alerts, cases = count(connection, which, now)
    values: dict[str, Any] = {
        "rows": found,
        "which": which,
        "order": order,
        "alerts": alerts,
        "cases": cases,
        "page": number,
        "pages": max(1, -(-cases // ROWS)),
        "here": lambda **changed: address(which, changed.get("order", order), changed.get("page", 1)),
        "statuses": STATUSES,
        "newest": shown,
        "token": secrets.token_urlsafe(16),
        "longest_note": LONGEST_NOTE,
        "owners": owners(request),
        "notice": f"assigned: {assigned_now}" if assigned_now.isdecimal() else "",
    }
    return render(request, "rows.html.j2" if part == "rows" else "queue.html.j2", user, **values)


@router.post("/next")
def take_next(request: Request, user: Decides, which: Which, order: InOrder) -> Response:
    """Lock the first case that is free for this analyst, and show it."""
    found, query = lock_first(parts_of(request), user, which, order), address(which, order)
    place = "/?none=1&" if found is None else f"/cases/{found}?"
    return RedirectResponse(f"{place}{query}".rstrip("?&"), 303)


def lock_first(parts: Parts, user: User, which: Filter, order: Order) -> int | None:
    """The first case that is free, locked; None where there is none. Another analyst may be faster: then the one after it."""
    for attempt in range(_ATTEMPTS):
        now = now_ms()
        try:
            with parts.database.begin() as connection:
                found = next_case(connection, which, order, user.name, now)
                if found is not None:
                    locks.take(connection, found, user.name, now, parts.settings.page_lock_minutes)
                return found
        except (IntegrityError, Refused):
            if attempt == _ATTEMPTS - 1:
                raise Refused("other analysts take cases at this moment: ask again", 503) from None
    return None
