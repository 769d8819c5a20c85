"""Search over every transaction, of the live feed or of the lake, and its export as CSV."""

import asyncio
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, MutableMapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Annotated, Any, Final

from anyio.to_thread import run_sync
from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, StreamingResponse

from lake.place import LakeUnusable
from page.errors import Refused, TooSlow
from page.parts import now_ms, parts_of
from page.rendering import render
from page.routes.queue import Looks
from page.search.csv_file import lines
from page.search.searches import EXPORT_SECONDS, MOST_EXPORTED
from page.search.wanted import Found, Wanted, address, time_text, wanted_of
from page.store.case import alerts_at
from page.store.history import Event, record
from page.store.verdicts import LONGEST_NOTE

router: Final = APIRouter()

_Message = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]
"""As ASGI has them."""

ROWS: Final = 50
"""Transactions on one page."""

_GRACE_SECONDS: Final = 5.0

LAST_PAGE: Final = 200
"""Further back a search has to be narrowed, or exported."""


@router.get("/search")
def search(request: Request, user: Looks, page: Annotated[str, Query()] = "1") -> HTMLResponse:
    """A page of what was found; that it can't be, or took too long, stands in the place of the rows."""
    parts, number = parts_of(request), _page(page)
    wanted, wrong = wanted_of(dict(request.query_params))
    found: Sequence[Found] = []
    trouble, status = "", 200
    try:
        found = parts.searches.find(wanted, ROWS + 1, ROWS * (number - 1))
    except TooSlow as error:
        trouble = f"The search took longer than it may: {error}. Narrow it: a customer, a merchant, a time."
        status = 504
    except LakeUnusable as error:
        trouble, status = f"{error}.", 503
    except Refused as error:
        trouble, status = f"{error}.", error.status
    with parts.database.read() as connection:
        known = alerts_at(connection, found[:ROWS])
    values: dict[str, Any] = {
        "rows": found[:ROWS],
        "known": known,
        "wanted": wanted,
        "wrong": wrong,
        "trouble": trouble,
        "more": len(found) > ROWS and number < LAST_PAGE,
        "beyond": len(found) > ROWS and number == LAST_PAGE,
        "page": number,
        "span": parts.searches.span(),
        "left_out": parts.recent.left_out,
        "has_lake": parts.searches.lake is not None,
        "here": address,
        "in_lake": replace(wanted, source="lake"),
        "time_text": time_text,
        "most": MOST_EXPORTED,
        "token": secrets.token_urlsafe(16),
        "longest_note": LONGEST_NOTE,
    }
    return render(request, "search.html.j2", user, status, **values)


@router.get("/search.csv")
def export(request: Request, user: Looks) -> StreamingResponse:
    """All that is found, up to `MOST_EXPORTED` rows, as it is read; noted in the history."""
    parts = parts_of(request)
    wanted, wrong = wanted_of(dict(request.query_params))
    if wrong:
        raise Refused("; ".join(wrong), 422)
    try:
        pieces = _begun(parts.searches.export(wanted))
    except TooSlow as error:
        raise Refused(f"the search took longer than it may: {error}", 504) from None
    except LakeUnusable as error:
        raise Refused(str(error), 503) from None
    with parts.database.begin() as connection:
        record(connection, Event(now_ms(), user.name, "export", None, None, {"search": address(wanted) or "all"}))
    headers = {"content-disposition": f'attachment; filename="{_name(wanted)}"', "x-accel-buffering": "no"}
    return Download(_streamed(lines(pieces, MOST_EXPORTED)), media_type="text/csv; charset=utf-8", headers=headers)


class Download(StreamingResponse):
    """A stream that ends at its time, whoever reads it however slowly, so that it never keeps its place from others."""

    def __init__(self, pieces: AsyncGenerator[bytes, None], **more: Any) -> None:
        super().__init__(pieces, **more)
        self._pieces = pieces

    async def __call__(self, scope: _Message, receive: _Receive, send: _Send) -> None:
        """See ASGI. Raises TimeoutError."""
        try:
            async with asyncio.timeout(EXPORT_SECONDS + _GRACE_SECONDS):
                await super().__call__(scope, receive, send)
        finally:
            await self._pieces.aclose()


def _begun(pieces: Iterator[list[Found]]) -> Iterable[list[Found]]:
    """The same, after the first of them: what can't be done fails before an answer begins."""
    first = next(pieces, [])
    return chain([first], pieces)


async def _streamed(pieces: Iterator[bytes]) -> AsyncGenerator[bytes, None]:
    """Each piece is made in a thread, when the one before is sent; whoever leaves ends the search."""
    try:
        while (piece := await run_sync(next, pieces, b"")) != b"":
            yield piece
    finally:
        pieces.close()  # type: ignore[attr-defined]


def _name(wanted: Wanted) -> str:
    return f"transactions-{wanted.source}-{time_text(now_ms() // 1000 * 1000).replace(':', '')}.csv"


def _page(text: str) -> int:
    return min(LAST_PAGE, max(1, int(text))) if text.isdecimal() and text.isascii() and len(text) < 9 else 1
