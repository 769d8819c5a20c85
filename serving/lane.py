"""What a transaction and a prediction are answered with, whoever asks: by the desk, the policy and the metrics."""

import asyncio
import logging
import time
from collections.abc import Callable
from time import perf_counter
from typing import NamedTuple

import msgspec

from detection.message_parsing import Invalid, parse
from ml.schema import Score, Transaction
from serving import answers
from serving.answers import Answer, Decided, NotJudged, Prediction, Refused
from serving.desk import Busy, Desk, Differs, Judged, Lost
from serving.http import RequestRefused, too_large
from serving.metrics import Metrics
from serving.policies import Policies
from serving.refusals import differing, field_of, not_judged
from serving.requests import Limits
from serving.share import Elsewhere, served_elsewhere
from serving.stamp import Stamp
from serving.waiting import within

_log = logging.getLogger(__name__)


class Asked(NamedTuple):
    """When a request came (`perf_counter`), how long it waits, and its W3C trace context."""

    began: float
    timeout_ms: float
    trace: str | None = None

    @property
    def seconds_left(self) -> float:
        """How long it waits from now on."""
        return max(0.0, self.timeout_ms / 1000 - (perf_counter() - self.began))


class Entered(NamedTuple):
    """A transaction on its way into the log, and its judgement to come."""

    transaction: Transaction
    judged: "asyncio.Future[Judged]"


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

    async def transaction(self, value: bytes, asked: Asked) -> Answer:
        """Put a transaction into the log and answer with its judgement. Raises `RequestRefused`."""
        entered = self.enter(value, asked)
        if isinstance(entered, Answer):
            return entered
        await within(entered.judged, asked.seconds_left)
        return self.conclude(entered, asked)

    def enter(self, value: bytes, asked: Asked) -> Answer | Entered:
        """Put a transaction into the log, or answer at once where it was answered before. Raises `RequestRefused`."""
        transaction = self._parsed(value)
        try:
            known = self._desk.known(transaction)
            if known is not None:
                return msgspec.structs.replace(known, repeated=True)
            return Entered(transaction, self._desk.enter(transaction, value, asked.trace, self._stamp()))
        except Differs as differs:
            raise differing(differs) from differs
        except Busy as busy:
            raise RequestRefused(Refused("busy", 503, str(busy)), {"retry-after": "1"}) from busy

    def conclude(self, entered: Entered, asked: Asked) -> Answer:
        """The answer when the wait is over, by the fallback where there is no judgement yet. Raises `RequestRefused`."""
        transaction, future = entered
        if not future.done():
            future.add_done_callback(self._keep_late)
            self._desk.leave(transaction)
            return self._without(transaction, f"no judgement within {asked.timeout_ms:g} ms", asked)
        try:
            return self._judged(future.result(), asked.began)
        except Lost as lost:
            return self._without(transaction, f"the transaction did not reach the log: {lost}", asked)
        except NotJudged as refused:
            return self._known_by_now(transaction, refused)

    def write(self) -> None:
        """To be called before answers are given: they are handed to the operating system then."""
        self._desk.write()

    def after_write(self, give: Callable[[], None]) -> None:
        """Call `give` after the next `write`, which is at once."""
        self._desk.after_write(give)

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

    def _without(self, transaction: Transaction, why: str, asked: Asked) -> Answer:
        if asked.trace is not None:
            _log.info("%s was answered by the fallback (%s), trace %s", transaction.transaction_id, why, asked.trace)
        decided = self._policies.fallback(why)
        self._metrics.degraded.inc()
        self._metrics.count(self._metrics.decisions, decided.decision, decided.decided_by)
        return answers.degraded(transaction.transaction_id, decided, why, _elapsed(asked.began))

    def _keep_late(self, future: "asyncio.Future[Judged]") -> None:
        """A judgement that came after its request was answered: whoever asks again gets it."""
        if not future.cancelled() and future.exception() is None:
            self._remember(future.result())
            self._desk.write()


def _elapsed(began: float) -> float:
    return (perf_counter() - began) * 1000
