"""Waiting for a judgement no longer than a deadline allows."""

import asyncio
from collections.abc import Callable
from typing import Any


async def within(future: "asyncio.Future[Any]", seconds: float) -> bool:
    """Whether a future is done within so many seconds. It goes on afterwards; others may wait for it too.

    `asyncio.wait` does the same for any number of futures and coroutines, and costs three times as much.
    """
    if future.done():
        return True
    loop = future.get_loop()
    waiter: asyncio.Future[None] = loop.create_future()

    def wake(_: object = None) -> None:
        if not waiter.done():
            waiter.set_result(None)

    timer = loop.call_later(seconds, wake)
    future.add_done_callback(wake)
    try:
        await waiter
    finally:
        timer.cancel()
        future.remove_done_callback(wake)
    return future.done()


class Once:
    """Calls `do` once, when a future is done or after so many seconds: `within` for whoever is no coroutine.

    An object and no closure: one that knows itself is a cycle, which leaves the garbage collector thirty objects a request.
    """

    __slots__ = ("_do", "_future", "_timer")

    def __init__(self, future: "asyncio.Future[Any]", seconds: float, do: Callable[[], None]) -> None:
        self._future, self._do = future, do
        self._timer: asyncio.TimerHandle | None = future.get_loop().call_later(seconds, self._end)
        future.add_done_callback(self._end)

    def _end(self, _: object = None) -> None:
        timer, self._timer = self._timer, None
        if timer is None:  # it was done in the moment in which the time was over
            return
        timer.cancel()
        self._future.remove_done_callback(self._end)
        self._do()
