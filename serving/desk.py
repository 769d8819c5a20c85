"""Requests and their answers, on the event loop: who waits for which record, and what was answered lately."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from ml.schema import Score, Transaction
from serving.answer_log import AnswerLog
from serving.answers import Answer, NotJudged, score_of
from serving.intake import Intake
from serving.tail import Read

_KEPT_SECONDS: Final = 600.0
_MOST_KEPT: Final = 2_000_000


class Busy(Exception):
    """Too many requests wait already; the text says how many may."""


class Lost(Exception):
    """A transaction did not reach the log, or nobody knows whether it did; the text says why."""


class _Kept(NamedTuple):
    until: float
    answer: Answer


class Desk:
    """Sends transactions into the log and waits for their judgement. For the event loop's thread alone.

    log: where answers are kept over a restart.

    most_waiting: how many may wait at once; a request more is refused rather than let wait longer and longer.
    """

    def __init__(
        self, intake: Intake, loop: asyncio.AbstractEventLoop, log: AnswerLog, most_waiting: int = 2_000
    ) -> None:
        self._intake = intake
        self._log = log
        self._loop = loop
        self._most = most_waiting
        self._waiting: dict[bytes, asyncio.Future[Score]] = {}
        self._under_way: dict[str, asyncio.Future[Score]] = {}
        now = time.monotonic()
        self._kept: OrderedDict[str, _Kept] = OrderedDict(
            (answer.transaction_id, _Kept(now - age + _KEPT_SECONDS, answer)) for age, answer in log.read()
        )
        self.unasked: Callable[[Score], None] = lambda score: None
        """Told the score of a transaction that came by HTTP and that nobody here waits for: another replica's, or one of
        before a restart. Its caller may ask again, here."""

    @property
    def waiting(self) -> int:
        """How many requests wait for their record."""
        return len(self._waiting)

    def known(self, transaction_id: str) -> Answer | None:
        """What was answered for a transaction within the last ten minutes."""
        found = self._kept.get(transaction_id)
        return found.answer if found is not None and found.until > time.monotonic() else None

    def keep(self, answer: Answer) -> None:
        """Keep an answer, so that whoever asks again gets the same."""
        now = time.monotonic()
        known = self._kept.get(answer.transaction_id)
        if known is None or known.until <= now:
            self._kept.pop(answer.transaction_id, None)
            self._kept[answer.transaction_id] = _Kept(now + _KEPT_SECONDS, answer)
            self._log.add(answer)
        while self._kept and (len(self._kept) > _MOST_KEPT or next(iter(self._kept.values())).until < now):
            self._kept.popitem(last=False)

    def enter(self, transaction: Transaction, value: bytes, trace: str | None) -> "asyncio.Future[Score]":
        """Put a transaction into the log; the future is its score, or raises `NotJudged` or `Lost`.

        Of a transaction that is under way already it is the same future. Raises `Busy`.
        """
        under_way = self._under_way.get(transaction.transaction_id)
        if under_way is not None:
            return under_way
        if len(self._waiting) >= self._most:
            raise Busy(f"{self._most:,} requests wait already")
        future: asyncio.Future[Score] = self._loop.create_future()
        try:
            request = self._intake.send(value, transaction.customer_id, trace)
        except BufferError as error:
            raise Busy(str(error)) from error
        self._waiting[request] = self._under_way[transaction.transaction_id] = future

        def done(_: "asyncio.Future[Score]") -> None:
            self._under_way.pop(transaction.transaction_id, None)
            if not future.cancelled():
                future.exception()  # whoever waited may have gone

        future.add_done_callback(done)
        return future

    def deliver(self, read: list[Read]) -> None:
        """Records that the tail has judged. Called in the tail's thread."""
        self._loop.call_soon_threadsafe(self._deliver, read)

    def fail(self, request: bytes, why: str) -> None:
        """A record did not reach the log. Called in the producer's thread."""
        self._loop.call_soon_threadsafe(self._fail, request, why)

    def _deliver(self, read: Sequence[Read]) -> None:
        for each in read:
            future = self._waiting.pop(each.request, None)
            try:
                score = score_of(each.outcome)
            except NotJudged as why:
                if future is not None and not future.done():
                    future.set_exception(why)
                continue
            if future is None or future.done():
                self.unasked(score)
            else:
                future.set_result(score)

    def _fail(self, request: bytes, why: str) -> None:
        future = self._waiting.pop(request, None)
        if future is not None and not future.done():
            future.set_exception(Lost(why))
