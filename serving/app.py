"""The service's ASGI application: transactions and predictions by hand, everything else by Starlette."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Final

from serving.access import Access
from serving.answers import Answer, Refused
from serving.http import (
    Disconnected,
    Receive,
    Reply,
    RequestRefused,
    Scope,
    Send,
    body_of,
    json_of,
    refusal_of,
    send_json,
    send_refusal,
    too_large,
)
from serving.lane import Asked, Entered, Lane
from serving.mappings import Mappings
from serving.metrics import Metrics
from serving.requests import Limits, batch_of, parameter_of, timeout_of, trace_of
from serving.waiting import Once

_log = logging.getLogger(__name__)

_POST: Final = "this is asked by POST; GET /docs says how"
_FAILED: Final = RequestRefused(Refused("failed", 500, "an error of ours; it is in the log"))


class App:
    """The ASGI application. others: what answers all other paths."""

    def __init__(
        self, lane: Lane, access: Access, metrics: Metrics, limits: Limits, others: Callable[..., Awaitable[None]]
    ) -> None:
        self._lane = lane
        self._access = access
        self._metrics = metrics
        self._limits = limits
        self._others = others
        self._mappings = Mappings()
        self._latency = {route: metrics.latency.labels(route) for route in ("/transactions", "/predict")}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["path"] not in self._latency:
            await self._others(scope, receive, send)
            return
        if scope["method"] != "POST":
            await send_refusal(send, RequestRefused(Refused("method not allowed", 405, _POST), {"allow": "POST"}))
            return
        route, began = scope["path"], perf_counter()
        try:
            caller = self._access.caller(scope)
            body = await body_of(scope, receive, self._limits.request_bytes)
            answer = await self._answer(route, scope, body, caller, began)
        except RequestRefused as refused:
            self._metrics.count(self._metrics.requests, route, str(refused.refused.status))
            await send_refusal(send, refused)
        except Disconnected:
            self._metrics.count(self._metrics.requests, route, "gone")
        except Exception:  # noqa: BLE001  # our own bugs too: a stack trace is for the log alone
            _log.exception("a request failed, trace %s", trace_of(scope) or "none")
            self._metrics.count(self._metrics.requests, route, "500")
            await send_refusal(send, _FAILED)
        else:
            self._metrics.count(self._metrics.requests, route, "200")
            self._latency[route].observe(perf_counter() - began)
            self._lane.write()
            await send_json(send, answer)

    async def _answer(self, route: str, scope: Scope, body: bytes, caller: str, began: float) -> object:
        if route == "/predict":
            self._access.spend(caller)
            name = parameter_of(scope, "mapping")
            return self._lane.predict(body if name is None else await self._mapped(name, body), began)
        asked = Asked(began, timeout_of(scope, self._limits), trace_of(scope))
        if not body.lstrip().startswith(b"["):
            self._access.spend(caller)
            return await self._lane.transaction(body, asked)
        values = batch_of(body)
        self._access.spend(caller, len(values))
        return await asyncio.gather(*(self._one(value, asked) for value in values))

    async def _mapped(self, name: str, body: bytes) -> bytes:
        if len(body) > self._limits.transaction_bytes:
            raise too_large(len(body), self._limits.transaction_bytes)
        return await asyncio.to_thread(self._mappings.transaction, name, body)

    async def _one(self, value: bytes, asked: Asked) -> Answer | Refused:
        try:
            return await self._lane.transaction(value, asked)
        except RequestRefused as refused:
            return refused.refused

    def short(self, scope: Scope, body: bytes, reply: Reply) -> bool:
        """Answer a POST whose body is whole by `reply`, at once or later; False where it has to go the long way (`__call__`).

        The answers are the same, without a task and ASGI's messages between, which cost as much as the rest of a request.
        """
        route, began = scope["path"], perf_counter()
        if route not in self._latency or not body.startswith(b"{") or len(body) > self._limits.request_bytes:
            return False
        if route == "/transactions":
            self._enter(scope, body, reply, began)
            return True
        if scope["query_string"]:
            return False
        try:
            self._access.spend(self._access.caller(scope))
            answer = self._lane.predict(body, began)
        except Exception as error:  # noqa: BLE001  # as in `__call__`
            self._fail(scope, reply, error)
        else:
            self._give(scope, reply, answer, began)
        return True

    def _enter(self, scope: Scope, body: bytes, reply: Reply, began: float) -> None:
        try:
            caller = self._access.caller(scope)
            asked = Asked(began, timeout_of(scope, self._limits), trace_of(scope))
            self._access.spend(caller)
            entered = self._lane.enter(body, asked)
        except Exception as error:  # noqa: BLE001  # as in `__call__`
            self._fail(scope, reply, error)
            return
        if isinstance(entered, Answer):
            self._lane.after_write(lambda: self._give(scope, reply, entered, began))
        else:
            Once(entered.judged, asked.seconds_left, lambda: self._conclude(scope, reply, entered, asked))

    def _conclude(self, scope: Scope, reply: Reply, entered: Entered, asked: Asked) -> None:
        try:
            answer = self._lane.conclude(entered, asked)
        except Exception as error:  # noqa: BLE001  # as in `__call__`
            self._fail(scope, reply, error)
        else:
            self._lane.after_write(lambda: self._give(scope, reply, answer, asked.began))

    def _give(self, scope: Scope, reply: Reply, answer: object, began: float) -> None:
        route = scope["path"]
        self._metrics.count(self._metrics.requests, route, "200")
        self._latency[route].observe(perf_counter() - began)
        reply(*json_of(answer))

    def _fail(self, scope: Scope, reply: Reply, error: Exception) -> None:
        refused = error if isinstance(error, RequestRefused) else _FAILED
        if refused is _FAILED:
            _log.error("a request failed, trace %s", trace_of(scope) or "none", exc_info=error)
        self._metrics.count(self._metrics.requests, scope["path"], str(refused.refused.status))
        reply(*refusal_of(refused))
