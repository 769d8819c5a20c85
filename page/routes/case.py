"""One case: its page, and what an analyst does with it."""

import secrets
from collections.abc import Sequence
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from page.access import User, require
from page.errors import Refused
from page.parts import now_ms, parts_of
from page.rendering import render
from page.routes.queue import Decides, InOrder, Looks, Which, address, lock_first, owners
from page.store import case as store
from page.store import locks, suppressions, verdicts
from page.store.history import events
from page.store.queue import Filter, Order
from page.store.suppressions import LONGEST_HOURS, LONGEST_REASON, Kind, Mode
from page.store.verdicts import LONGEST_NOTE, Verdict
from page.view import decoded, view

router: Final = APIRouter()

_LARGEST: Final = 2**62
Administers = Annotated[User, Depends(require("administer"))]
Number = Annotated[int, Query(ge=0, le=_LARGEST)]


@router.get("/cases/{case_id}")
def case(
    request: Request, user: Looks, which: Which, order: InOrder, case_id: int, alert: Number = 0, said: str = ""
) -> HTMLResponse:
    """The case, with one of its alerts in full: the one that is asked for, else the first that waits."""
    parts, now = parts_of(request), now_ms()
    _check_number(case_id)
    with parts.database.read() as connection:
        row = store.case(connection, case_id)
        alerts = store.alerts_of(connection, case_id)
        chosen = _chosen(alerts, alert)
        record = store.record_of(connection, chosen.id)
        values: dict[str, Any] = {
            "held": locks.holder(connection, case_id, now),
            "said": verdicts.said_of(connection, case_id),
            "earlier": store.earlier(connection, row.customer_id, case_id),
            "merchant": None if chosen.merchant_id is None else store.merchant(connection, chosen.merchant_id),
            "events": events(connection, case_id, limit=30),
        }
    score = decoded(record)
    values |= {
        "case": row,
        "alerts": alerts,
        "open_alerts": sum(one.state == "open" for one in alerts),
        "alert": chosen,
        "view": view(score, parts.pasts.of_customer(score.customer_id)),
        "newest_model": parts.recent.newest_model(),
        "token": secrets.token_urlsafe(16),
        "query": address(which, order),
        "notice": said[:100],
        "owners": owners(request),
        "longest": {"note": LONGEST_NOTE, "reason": LONGEST_REASON, "hours": LONGEST_HOURS},
    }
    return render(request, "case.html.j2", user, **values)


@router.post("/cases/{case_id}/verdict")
def say(
    request: Request,
    user: Decides,
    which: Which,
    order: InOrder,
    case_id: int,
    verdict: Annotated[Verdict, Form()],
    alert: Annotated[int, Form(ge=0, le=_LARGEST)],
    token: Annotated[str, Form(min_length=8, max_length=64)],
    note: Annotated[str, Form(max_length=LONGEST_NOTE)] = "",
    whole: Annotated[str, Form()] = "",
    newest: Annotated[int, Form(ge=0, le=_LARGEST)] = _LARGEST,
) -> Response:
    """Say something of one alert, or of all that wait in the case and were shown; then the next one is shown.

    newest: the newest alert that was shown.
    """
    parts, now = parts_of(request), now_ms()
    _check_number(case_id)
    with parts.database.begin() as connection:
        waiting = [one.id for one in store.alerts_of(connection, case_id) if one.state == "open"]
        shown = [number for number in waiting if number <= newest]
        chosen = shown if whole == "yes" and shown else [alert]
        if store.case_of(connection, alert) != case_id:
            raise Refused("that alert is of another case", 404)
        done = verdicts.say(connection, chosen, verdict, note, user.name, now, token)
    rest = [number for number in waiting if number not in chosen]
    said = f"{verdict}: {done}" if done else ""
    return _onward(request, user, which, order, case_id, bool(rest), said)


def _onward(request: Request, user: User, which: Filter, order: Order, case_id: int, rest: bool, said: str) -> Response:
    """To what waits in the same case, else to the next case, else to the queue."""
    query = address(which, order)
    following = case_id if rest else lock_first(parts_of(request), user, which, order)
    place = "/?" if following is None else f"/cases/{following}?"
    return RedirectResponse(f"{place}{query}&said={said.replace(': ', '+')}".replace("?&", "?"), 303)


@router.post("/undo")
def undo(request: Request, user: Decides) -> Response:
    """Take back what this analyst said last, and show its case."""
    with parts_of(request).database.begin() as connection:
        found = verdicts.undo(connection, user.name, now_ms())
    if found is None:
        raise Refused("there is nothing of yours to take back", 404)
    return RedirectResponse(f"/cases/{found}?said=taken+back", 303)


@router.post("/cases/{case_id}/take")
def take(request: Request, user: Decides, case_id: int) -> Response:
    """Lock this very case."""
    parts = parts_of(request)
    _check_number(case_id)
    with parts.database.begin() as connection:
        store.case(connection, case_id)
        locks.take(connection, case_id, user.name, now_ms(), parts.settings.page_lock_minutes)
    return RedirectResponse(f"/cases/{case_id}", 303)


@router.post("/suppressions")
def suppress(
    request: Request,
    user: Decides,
    kind: Annotated[Kind, Form()],
    alert: Annotated[int, Form(ge=0, le=_LARGEST)],
    mode: Annotated[Mode, Form()],
    hours: Annotated[float, Form(gt=0, le=LONGEST_HOURS)],
    reason: Annotated[str, Form(max_length=LONGEST_REASON)],
) -> Response:
    """Keep what is like this alert out of the queue for a while."""
    with parts_of(request).database.begin() as connection:
        value = store.value_of(connection, alert, suppressions.COLUMNS[kind])
        suppressions.make(connection, kind, value, mode, hours, reason, user.name, now_ms())
    return RedirectResponse("/suppressions", 303)


@router.get("/suppressions")
def lasting(request: Request, user: Looks) -> HTMLResponse:
    """What keeps alerts out of the queue now."""
    with parts_of(request).database.read() as connection:
        found = suppressions.lasting(connection, now_ms())
    return render(request, "suppressions.html.j2", user, rows=found)


@router.post("/suppressions/{number}/lift")
def lift(request: Request, user: Decides, number: int) -> Response:
    """End one before its time."""
    _check_number(number)
    with parts_of(request).database.begin() as connection:
        suppressions.lift(connection, number, user.name, now_ms())
    return RedirectResponse("/suppressions", 303)


@router.get("/history")
def history(request: Request, user: Looks, before: Number = 0) -> HTMLResponse:
    """Everything that anyone did, the newest first."""
    with parts_of(request).database.read() as connection:
        found = events(connection, before=before or None)
    return render(request, "history.html.j2", user, events=found)


def _check_number(number: int) -> None:
    """Raises `Refused` for what no row can have as its number."""
    if not 0 <= number <= _LARGEST:
        raise Refused(f"there is no case {number}", 404)


def _chosen(alerts: Sequence[Any], number: int) -> Any:
    return next((one for one in alerts if one.id == number), alerts[0])
