"""The service's ASGI application: transactions and predictions by hand, everything else by Starlette."""

import asyncio
import logging
import re
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from time import perf_counter
from typing import Final
from urllib.parse import parse_qs

import msgspec

from detection.message_parsing import Invalid, parse
from ml.schema import Score, Transaction
from serving import answers
from serving.access import Access
from serving.answers import Answer, NotJudged, Prediction, Refused
from serving.desk import Busy, Desk, Lost
from serving.http import (
    Disconnected,
    Receive,
    RequestRefused,
    Scope,
    Send,
    body_of,
    header,
    send_json,
    send_refusal,
    too_large,
)
from serving.metrics import Metrics
from serving.policy import Policy, Thresholds

_log = logging.getLogger(__name__)

MOST_IN_A_BATCH: Final = 1_000
_FIELD: Final = re.compile(
    "in the field `([a-z_]+)`|the field '([a-z_]+)'|missing required field `([a-z_]+)`|^(event_time) "
)
_TRACE: Final = re.compile("[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_DUPLICATE: Final = re.compile(r"is a duplicate of (?:(\d+)/(\d+)|one in the history)")
_raw_list: Final = msgspec.json.Decoder(list[msgspec.Raw])


class Limits(msgspec.Struct, frozen=True):
    """What a request may be and how long it waits. timeout_ms: where it names none."""

    request_bytes: int = 4 << 20
    transaction_bytes: int = 65_536
    timeout_ms: float = 1_000.0
    longest_timeout_ms: float = 60_000.0


class Lane:
    """Answers requests. peek: a transaction's JSON → the score that it would have. Raises `NotJudged`."""

    def __init__(
        self,
        desk: Desk,
        peek: Callable[[bytes, Transaction], Score],
        policy: Callable[[], Policy],
        thresholds: Callable[[Score], Thresholds],
        metrics: Metrics,
        limits: Limits,
    ) -> None:
        self._desk = desk
        self._peek = peek
        self._policy = policy
        self._thresholds = thresholds
        self._metrics = metrics
        self._limits = limits
        desk.unasked = self._remember

    async def transaction(self, value: bytes, began: float, timeout_ms: float, trace: str | None) -> Answer:
        """Put a transaction into the log and answer with its judgement. Raises `RequestRefused`."""
        transaction = self._parsed(value)
        known = self._desk.known(transaction.transaction_id)
        if known is not None:
            return msgspec.structs.replace(known, repeated=True)
        try:
            future = self._desk.enter(transaction, value, trace)
        except Busy as busy:
            raise RequestRefused(Refused("busy", 503, str(busy)), {"retry-after": "1"}) from busy
        patience = timeout_ms / 1000 - (perf_counter() - began)
        done, _ = await asyncio.wait([future], timeout=max(0.0, patience))
        if not done:
            future.add_done_callback(self._keep_late)
            return self._without(transaction, f"no judgement within {timeout_ms:g} ms", began)
        try:
            return self._judged(future.result(), began)
        except Lost as lost:
            return self._without(transaction, f"the transaction did not reach the log: {lost}", began)
        except NotJudged as refused:
            known = self._desk.known(transaction.transaction_id)  # it was under way by another replica
            if known is not None:
                return msgspec.structs.replace(known, repeated=True)
            raise _not_judged(str(refused)) from refused

    def predict(self, value: bytes, began: float) -> Prediction:
        """What a transaction's score would be. Raises `RequestRefused`."""
        transaction = self._parsed(value)
        try:
            return answers.prediction(self._peek(value, transaction), _elapsed(began))
        except NotJudged as refused:
            raise _not_judged(str(refused)) from refused

    def _parsed(self, value: bytes) -> Transaction:
        if len(value) > self._limits.transaction_bytes:
            raise too_large(len(value), self._limits.transaction_bytes)
        try:
            return parse(value)
        except Invalid as error:
            found = _FIELD.search(str(error))
            field = next((name for name in found.groups() if name), None) if found else None
            raise RequestRefused(Refused("not a transaction", 422, str(error), field)) from error

    def _judged(self, score: Score, began: float) -> Answer:
        answer = self._answer(score, _elapsed(began))
        self._desk.keep(answer)
        self._metrics.decisions.labels(answer.decision, answer.decided_by).inc()
        return answer

    def _answer(self, score: Score, elapsed_ms: float) -> Answer:
        decided = self._policy().decide(score, self._thresholds(score), datetime.now(UTC))
        return answers.answer(score, decided, elapsed_ms)

    def _remember(self, score: Score) -> None:
        """An answer that another replica gave, or that was given before a restart."""
        self._desk.keep(self._answer(score, max(0.0, time.time() * 1000 - score.kafka_time)))

    def _without(self, transaction: Transaction, why: str, began: float) -> Answer:
        decided = self._policy().fallback(why)
        self._metrics.degraded.inc()
        self._metrics.decisions.labels(decided.decision, decided.decided_by).inc()
        return answers.degraded(transaction.transaction_id, decided, why, _elapsed(began))

    def _keep_late(self, future: "asyncio.Future[Score]") -> None:
        """A judgement that came after its request was answered: whoever asks again gets it."""
        if not future.cancelled() and future.exception() is None:
            self._remember(future.result())


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
        self._latency = {route: metrics.latency.labels(route) for route in ("/transactions", "/predict")}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["path"] not in self._latency or scope["method"] != "POST":
            await self._others(scope, receive, send)
            return
        route, began = scope["path"], perf_counter()
        try:
            caller = self._access.caller(scope)
            body = await body_of(scope, receive, self._limits.request_bytes)
            answer = await self._answer(route, scope, body, caller, began)
        except RequestRefused as refused:
            self._metrics.requests.labels(route, str(refused.refused.status)).inc()
            await send_refusal(send, refused)
        except Disconnected:
            self._metrics.requests.labels(route, "gone").inc()
        except Exception:  # noqa: BLE001  # our own bugs too: a stack trace is for the log alone
            _log.exception("a request failed")
            self._metrics.requests.labels(route, "500").inc()
            await send_refusal(send, RequestRefused(Refused("failed", 500, "an error of ours; it is in the log")))
        else:
            self._metrics.requests.labels(route, "200").inc()
            self._latency[route].observe(perf_counter() - began)
            await send_json(send, answer)

    async def _answer(self, route: str, scope: Scope, body: bytes, caller: str, began: float) -> object:
        if route == "/predict":
            self._access.spend(caller)
            return self._lane.predict(body, began)
        timeout_ms = self._timeout(scope)
        trace = _trace(scope)
        if not body.lstrip().startswith(b"["):
            self._access.spend(caller)
            return await self._lane.transaction(body, began, timeout_ms, trace)
        values = _batch(body)
        self._access.spend(caller, len(values))
        return await asyncio.gather(*(self._one(value, began, timeout_ms, trace) for value in values))

    async def _one(self, value: bytes, began: float, timeout_ms: float, trace: str | None) -> Answer | Refused:
        try:
            return await self._lane.transaction(value, began, timeout_ms, trace)
        except RequestRefused as refused:
            return refused.refused

    def _timeout(self, scope: Scope) -> float:
        query = scope.get("query_string") or b""
        if not query:
            return self._limits.timeout_ms
        given = parse_qs(query.decode("latin-1")).get("timeout_ms", [""])[-1]
        if not given:
            return self._limits.timeout_ms
        try:
            timeout_ms = float(given)
        except ValueError:
            timeout_ms = -1.0
        if not 1 <= timeout_ms <= self._limits.longest_timeout_ms:
            most = self._limits.longest_timeout_ms
            raise RequestRefused(
                Refused(
                    "wrong parameter", 422, f"timeout_ms is a number from 1 to {most:g}, not {given!r}", "timeout_ms"
                )
            )
        return timeout_ms


def _batch(body: bytes) -> list[bytes]:
    try:
        values = _raw_list.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RequestRefused(
            Refused("not a batch", 422, f"the body is no JSON array of transactions: {error}")
        ) from error
    if not 1 <= len(values) <= MOST_IN_A_BATCH:
        detail = f"a batch has 1 to {MOST_IN_A_BATCH:,} transactions, this one {len(values):,}"
        raise RequestRefused(Refused("not a batch", 422, detail))
    return [bytes(value) for value in values]


def _trace(scope: Scope) -> str | None:
    """The W3C trace context that came, where it is one."""
    given = header(scope, b"traceparent")
    text = None if given is None else given.decode("latin-1")
    return text if text is not None and _TRACE.fullmatch(text) else None


def _not_judged(why: str) -> RequestRefused:
    duplicate = _DUPLICATE.search(why)
    if duplicate is None:
        return RequestRefused(Refused("not judged", 422, why))
    place = [None if number is None else int(number) for number in duplicate.groups()]
    return RequestRefused(Refused("duplicate", 409, why, "transaction_id", *place))


def _elapsed(began: float) -> float:
    return (perf_counter() - began) * 1000
