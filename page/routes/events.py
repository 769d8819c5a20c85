"""Server-sent events: a few times a second what has changed in number, and nothing while nothing has.

A stream lasts no longer than the right to it: signing out, a removed user and an expired session end it.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Final

import msgspec
from fastapi import APIRouter, Depends, Request
from fastapi.responses import StreamingResponse

from page.access import SignInNeeded, User, access_of, require
from page.errors import Refused
from page.parts import now_ms, parts_of
from page.pulse import PAUSE_SECONDS

router: Final = APIRouter()

_CHECK_SECONDS: Final = 2.0
"""After so long it is looked up again whether the stream may go on."""
_SILENCE_SECONDS: Final = 15.0
"""After so long without news a comment is sent, so that a connection that is gone is noticed."""


@router.get("/events")
async def events(request: Request, _: Annotated[User, Depends(require("look"))]) -> StreamingResponse:
    """The stream of `page.pulse.Beat` as JSON."""
    headers = {"x-accel-buffering": "no"}
    return StreamingResponse(_beats(request), media_type="text/event-stream", headers=headers)


async def _beats(request: Request) -> AsyncIterator[bytes]:
    pulse, last, silent, checked = parts_of(request).pulse, None, 0.0, 0.0
    yield b"retry: 1000\n\n"
    while not pulse.stopped.is_set():
        checked += PAUSE_SECONDS
        if checked >= _CHECK_SECONDS:
            checked = 0.0
            if not await asyncio.to_thread(_may_look, request):
                yield b"event: ended\ndata: the session has ended\n\n"
                return
        beat = await asyncio.to_thread(pulse.beat)
        if beat != last:
            yield b"data: " + msgspec.json.encode(beat._asdict()) + b"\n\n"
            last, silent = beat, 0.0
        elif silent >= _SILENCE_SECONDS:
            yield b": still here\n\n"
            silent = 0.0
        silent += PAUSE_SECONDS
        await asyncio.sleep(PAUSE_SECONDS)


def _may_look(request: Request) -> bool:
    """Whether whoever asked for the stream may still have it."""
    try:
        return access_of(request).identify(request, now_ms(), by_person=False).user.may("look")
    except (SignInNeeded, Refused):
        return False
