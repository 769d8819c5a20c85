"""Server-sent events: a few times a second what has changed in number, and nothing while nothing has."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Annotated, Final

import msgspec
from fastapi import APIRouter, Depends, Request
from fastapi.responses import StreamingResponse

from page.access import User, access_of, require
from page.parts import now_ms, parts_of
from page.pulse import PAUSE_SECONDS

router: Final = APIRouter()

_SILENCE_SECONDS: Final = 15.0
"""After so long without news a comment is sent, so that a connection that is gone is noticed."""

_WHO_SECONDS: Final = 15.0
"""After so long it is asked again who reads: a session that has ended reads on no longer."""


@router.get("/events")
async def events(request: Request, _: Annotated[User, Depends(require("look"))]) -> StreamingResponse:
    """The stream of `page.pulse.Beat` as JSON."""
    headers = {"x-accel-buffering": "no"}
    return StreamingResponse(_beats(request), media_type="text/event-stream", headers=headers)


async def _beats(request: Request) -> AsyncIterator[bytes]:
    pulse, last, silent = parts_of(request).pulse, None, 0.0
    yield b"retry: 1000\n\n"
    asked = time.monotonic()
    while not pulse.stopped.is_set():
        if time.monotonic() - asked >= _WHO_SECONDS:
            asked = time.monotonic()
            if not await asyncio.to_thread(access_of(request).may_still_look, request, now_ms()):
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
