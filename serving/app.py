"""The service's ASGI application: transactions and predictions by hand, everything else by Starlette."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Final

import msgspec

from detection.message_parsing import Invalid, parse
from ml.schema import Score, Transaction
from serving import answers
from serving.access import Access
from serving.answers import Answer, Decided, NotJudged, Prediction, Refused
from serving.desk import Busy, Desk, Differs, Judged, Lost
from serving.http import (
    Disconnected,
    Receive,
    RequestRefused,
    Scope,
    Send,
    body_of,
    send_json,
    send_refusal,
    too_large,
)
from serving.mappings import Mappings
from serving.metrics import Metrics
from serving.policies import Policies
from serving.refusals import differing, field_of, not_judged
from serving.requests import Limits, batch_of, parameter_of, timeout_of, trace_of
from serving.share import Elsewhere, served_elsewhere
from serving.stamp import Stamp
from serving.waiting import within

_log = logging.getLogger(__name__)

_POST: Final = "this is asked by POST; GET /docs says how"


class Lane:
    """Answers requests. peek: a transaction's JSON → the score that it would have. Raises `NotJudged`."""

    def __init__(
        self,
        desk: Desk,
        peek: Callable[[bytes, Transaction], Score],
        policies: Policies,
        stamp: Callable[[], Stamp | None],
        metrics: Metrics,
        limits: Limits,
        elsewhere: Callable[[str], Elsewhere | None] = lambda customer_id: None,
    ) -> None:
        self._desk = desk
        self._elsewhere = elsewhere
        self._peek = peek
        self._policies = policies
        self._stamp = stamp
        self._metrics = metrics
        self._limits = limits
        desk.unasked = self._remember

    async def transaction(self, value: bytes, began: float, timeout_ms: float, trace: str | None) -> Answer:
        """Put a transaction into the log and answer with its judgement. Raises `RequestRefused`."""
        transaction = self._parsed(value)
        try:
            known = self._desk.known(transaction)
            if known is not None:
                return msgspec.structs.replace(known, repeated=True)
            future = self._desk.enter(transaction, value, trace, self._stamp())
        except Differs as differs:
            raise differing(differs) from differs
        except Busy as busy:
            raise RequestRefused(Refused("busy", 503, str(busy)), {"retry-after": "1"}) from busy
        patience = timeout_ms / 1000 - (perf_counter() - began)
        if not await within(future, max(0.0, patience)):
            future.add_done_callback(self._keep_late)
            self._desk.leave(transaction)
            return self._without(transaction, f"no judgement within {timeout_ms:g} ms", began, trace)
        try:
            return self._judged(future.result(), began)
        except Lost as lost:
            return self._without(transaction, f"the transaction did not reach the log: {lost}", began, trace)
        except NotJudged as refused:
            return self._known_by_now(transaction, refused)

    def _known_by_now(self, transaction: Transaction, refused: NotJudged) -> Answer:
        """The answer of a transaction that was under way by another replica too. Raises `RequestRefused` where it was not."""
        try:
            known = self._desk.known(transaction)
        except Differs as differs:
            raise differing(differs) from differs
        if known is None:
            raise not_judged(str(refused)) from refused
        return msgspec.structs.replace(known, repeated=True)

    def predict(self, value: bytes, began: float) -> Prediction:
        """What a transaction's score would be. Raises `RequestRefused`."""
        transaction = self._parsed(value)
        try:
            return answers.prediction(self._peek(value, transaction), _elapsed(began))
        except NotJudged as refused:
            raise not_judged(str(refused)) from refused

    def _read(self, value: bytes) -> Transaction:
        if len(value) > self._limits.transaction_bytes:
            raise too_large(len(value), self._limits.transaction_bytes)
        try:
            return parse(value)
        except Invalid as error:
            raise RequestRefused(Refused("not a transaction", 422, str(error), field_of(str(error)))) from error

    def _parsed(self, value: bytes) -> Transaction:
        transaction = self._read(value)
        other = self._elsewhere(transaction.customer_id)
        if other is not None:
            raise served_elsewhere(other)
        return transaction

    def _judged(self, judged: Judged, began: float) -> Answer:
        score = judged.score
        new = answers.answer(score, self._decided(judged) or self._now_decided(score), _elapsed(began))
        answer = self._desk.keep(score, new)
        if answer is not new:
            return msgspec.structs.replace(answer, repeated=True)
        self._metrics.count(self._metrics.decisions, answer.decision, answer.decided_by)
        return answer

    def _decided(self, judged: Judged) -> Decided | None:
        """By the policy that its record was written under; None where that is not known here."""
        return self._policies.decide(judged.score, None if judged.stamp is None else judged.stamp.policy)

    def _now_decided(self, score: Score) -> Decided:
        decided = self._policies.decide(score)
        assert decided is not None  # the policy of now is known
        return decided

    def _remember(self, judged: Judged) -> None:
        """An answer that another replica gave, or that was given before a restart.

        Where this one would say something else, because it does not know those versions or that policy, it keeps none:
        who asks again is told that there was a first (409), and is never contradicted.
        """
        decided = self._decided(judged) if judged.agreed else None
        if decided is not None:
            score = judged.score
            elapsed_ms = max(0.0, time.time() * 1000 - score.kafka_time)
            self._desk.keep(score, answers.answer(score, decided, elapsed_ms))

    def _without(self, transaction: Transaction, why: str, began: float, trace: str | None) -> Answer:
        if trace is not None:
            _log.info("%s was answered by the fallback (%s), trace %s", transaction.transaction_id, why, trace)
        decided = self._policies.fallback(why)
        self._metrics.degraded.inc()
        self._metrics.count(self._metrics.decisions, decided.decision, decided.decided_by)
        return answers.degraded(transaction.transaction_id, decided, why, _elapsed(began))

    def _keep_late(self, future: "asyncio.Future[Judged]") -> None:
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
            await send_refusal(send, RequestRefused(Refused("failed", 500, "an error of ours; it is in the log")))
        else:
            self._metrics.count(self._metrics.requests, route, "200")
            self._latency[route].observe(perf_counter() - began)
            await send_json(send, answer)

    async def _answer(self, route: str, scope: Scope, body: bytes, caller: str, began: float) -> object:
        if route == "/predict":
            self._access.spend(caller)
            name = parameter_of(scope, "mapping")
            return self._lane.predict(body if name is None else await self._mapped(name, body), began)
        timeout_ms = timeout_of(scope, self._limits)
        trace = trace_of(scope)
        if not body.lstrip().startswith(b"["):
            self._access.spend(caller)
            return await self._lane.transaction(body, began, timeout_ms, trace)
        values = batch_of(body)
        self._access.spend(caller, len(values))
        return await asyncio.gather(*(self._one(value, began, timeout_ms, trace) for value in values))

    async def _mapped(self, name: str, body: bytes) -> bytes:
        if len(body) > self._limits.transaction_bytes:
            raise too_large(len(body), self._limits.transaction_bytes)
        return await asyncio.to_thread(self._mappings.transaction, name, body)

    async def _one(self, value: bytes, began: float, timeout_ms: float, trace: str | None) -> Answer | Refused:
        try:
            return await self._lane.transaction(value, began, timeout_ms, trace)
        except RequestRefused as refused:
            return refused.refused


def _elapsed(began: float) -> float:
    return (perf_counter() - began) * 1000
