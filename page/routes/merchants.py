"""The queue by merchant, and one merchant's alerts over all customers."""

import secrets
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from page.parts import now_ms, parts_of
from page.rendering import render
from page.routes.queue import ROWS, InOrder, Looks, Which, address, page_number
from page.store import case as store
from page.store import merchants
from page.store.alert import kept
from page.store.queue import STATUSES
from page.store.verdicts import LONGEST_NOTE

router: Final = APIRouter()


@router.get("/merchants")
def by_merchant(
    request: Request,
    user: Looks,
    which: Which,
    order: InOrder,
    page: Annotated[str, Query()] = "1",
    part: Annotated[str, Query()] = "",
) -> HTMLResponse:
    """The merchants at whom alerts wait. part=rows: the rows alone, for the script."""
    number, now = page_number(page), now_ms()
    with parts_of(request).database.read() as connection:
        found = merchants.merchants(connection, which, order, now, ROWS, ROWS * (number - 1))
        alerts, groups = merchants.count(connection, which, now)
    values: dict[str, Any] = {
        "rows": found,
        "which": which,
        "order": order,
        "alerts": alerts,
        "groups": groups,
        "page": number,
        "pages": max(1, -(-groups // ROWS)),
        "here": lambda **changed: address(which, changed.get("order", order), changed.get("page", 1)),
        "statuses": STATUSES,
    }
    return render(request, "merchant_rows.html.j2" if part == "rows" else "merchants.html.j2", user, **values)


@router.get("/merchant")
def one_merchant(
    request: Request, user: Looks, identifier: Annotated[str, Query(alias="id", max_length=10_000)] = ""
) -> HTMLResponse:
    """The alerts at one merchant, whoever the customer is, to decide about together."""
    name = kept(identifier)
    with parts_of(request).database.read() as connection:
        rows = merchants.alerts_of(connection, name, now_ms())
        known = store.merchant(connection, name)
    values: dict[str, Any] = {
        "merchant_id": name,
        "rows": rows,
        "known": known,
        "customers": len({row.customer_id for row in rows}),
        "token": secrets.token_urlsafe(16),
        "longest_note": LONGEST_NOTE,
        "most": merchants.MOST_ALERTS,
    }
    return render(request, "merchant.html.j2", user, **values)
