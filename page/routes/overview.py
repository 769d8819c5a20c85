"""The overview: alerts, how good they are, who judges, what the watcher does, and whether each part works."""

from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from page.parts import now_ms, parts_of
from page.rendering import render
from page.routes.queue import Looks

router: Final = APIRouter()


@router.get("/overview")
def overview(request: Request, user: Looks, part: Annotated[str, Query()] = "") -> HTMLResponse:
    """part=rows: its content alone, for the script."""
    shown = parts_of(request).overview.shown(now_ms())
    return render(request, "overview_rows.html.j2" if part == "rows" else "overview.html.j2", user, shown=shown)
