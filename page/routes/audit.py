"""The audit of one alert: what `scoreline explain` prints, by a process of its own, so that the page loads no models."""

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from page.errors import Refused
from page.parts import parts_of
from page.rendering import render
from page.routes.queue import Looks
from page.store.case import record_of
from page.view import decoded
from settings import Settings

router: Final = APIRouter()

_SECONDS: Final = 120
_LONGEST: Final = 100_000
LARGEST: Final = 2**62
"""No row has a larger number."""
_AT_ONCE: Final = threading.BoundedSemaphore(2)
_ROOT: Final = Path(__file__).parents[2]


@router.get("/audit/{alert_id}")
def audit(request: Request, user: Looks, alert_id: int) -> HTMLResponse:
    """All that led to an alert, judged again. It takes some seconds, and two are made at once."""
    parts = parts_of(request)
    if not 0 <= alert_id <= LARGEST:
        raise Refused(f"there is no alert {alert_id}", 404)
    with parts.database.read() as connection:
        score = decoded(record_of(connection, alert_id))
    if parts.settings.lake is None:
        text = "The audit reads the lake, and there is none here: set SCORELINE_LAKE, for the job and for this page."
    elif not _AT_ONCE.acquire(blocking=False):
        raise Refused("two audits are being made: ask again in a moment", 503)
    else:
        try:
            text = explained(parts.settings, score.transaction_id)
        finally:
            _AT_ONCE.release()
    return render(request, "audit.html.j2", user, alert_id=alert_id, lines=text[:_LONGEST].splitlines(), score=score)


def explained(settings: Settings, transaction_id: str) -> str:
    """What `scoreline explain` prints of a transaction, its errors too."""
    path = os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH")]))
    environment = os.environ | settings.environment() | {"PYTHONPATH": path, "COLUMNS": "200"}
    command = [sys.executable, "-m", "jobs", "explain", "--recompute", "--", transaction_id]
    try:
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return f"It was not explained within {_SECONDS} s."
    except ValueError:  # an id with a NUL can't be an argument
        return "A transaction whose id has a NUL can't be explained."
    return (done.stdout or done.stderr).decode(errors="replace")
