"""Requests and their answers, on the event loop: who waits for which record, and what was answered lately."""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import msgspec

from ml.schema import Score, Transaction
from serving.answer_log import AnswerLog, Given
from serving.answers import Answer, NotJudged, score_of
from serving.identity import Payment, contents_of, payment_of
from serving.intake import Intake
from serving.stamp import Stamp
from serving.tail import Read

_log = logging.getLogger(__name__)

_KEPT_SECONDS: Final = 600.0
_MOST_KEPT: Final = 2_000_000
_RETRY_SECONDS: Final = 1.0
_MOST_LATE: Final = 100_000


class Judged(NamedTuple):
    """A record's score. stamp: by what it was to be judged, where it says so; agreed: whether it was."""

    score: Score
    stamp: Stamp | None = None
    agreed: bool = True


_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Answer).decode


class Busy(Exception):
    """Too many requests wait already; the text says how many may."""


class Lost(Exception):
    """A transaction did not reach the log, or nobody knows whether it did; the text says why."""


class Differs(Exception):
    """A payment of this name was answered, or is under way, and something else was paid: `answer` is the first one's."""

    def __init__(self, answer: Answer | None) -> None:
        super().__init__("another transaction of this customer has the same transaction_id, and other contents")
        self.answer = answer


_Kept = tuple[float, int, bytes]
"""(until when it is kept, hash of the payment's contents, the answer's JSON): nothing that the garbage collector looks through,
since there are hundreds of thousands."""


class _UnderWay(NamedTuple):
    contents: int
    request: bytes
    future: "asyncio.Future[Judged]"


class Desk:
    """Sends transactions into the log and waits for their judgement. For the event loop's thread alone.

    log: where answers are kept over a restart.

    most_waiting: how many may wait at once; a request more is refused rather than let wait longer and longer. Who was
    answered by the fallback waits no more (`leave`), so that an outage of Kafka does not refuse everybody after a moment.
    """

    def __init__(
        self, intake: Intake, loop: asyncio.AbstractEventLoop, log: AnswerLog, most_waiting: int = 2_000
    ) -> None:
        self._intake = intake
        self._log = log
        self._loop = loop
        self._most = most_waiting
        self._waiting: dict[bytes, asyncio.Future[Judged]] = {}
        self._late: dict[bytes, asyncio.Future[Judged]] = {}
        self._under_way: dict[Payment, _UnderWay] = {}
        now = time.monotonic()
        self._kept: OrderedDict[tuple[str, str], _Kept] = OrderedDict(
            (
                (given.customer_id, given.answer.transaction_id),
                (now - age + _KEPT_SECONDS, given.contents, _encode(given.answer)),
            )
            for age, given in log.read()
        )
        self._retrying = False
        self._giving: list[Callable[[], None]] = []
        self.unasked: Callable[[Judged], None] = lambda judged: None
        """Told the score of a transaction that came by HTTP and that nobody here waits for: another replica's, or one of
        before a restart. Its caller may ask again, here."""

    @property
    def waiting(self) -> int:
        """How many requests wait for their record."""
        return len(self._waiting)

    def known(self, transaction: Transaction) -> Answer | None:
        """What was answered for a transaction within the last ten minutes. Raises `Differs`."""
        found = self._kept.get(payment_of(transaction))
        if found is None:
            return None
        until, contents, answer = found
        if until <= time.monotonic():
            return None
        if contents != contents_of(transaction):
            raise Differs(_decode(answer))
        return _decode(answer)

    def keep(self, score: Score, answer: Answer) -> Answer:
        """Keep an answer, so that whoever asks again gets the same; returns the one that was kept first.

        It may be given once `write` has been called.
        """
        now, payment = time.monotonic(), payment_of(score)
        known = self._kept.get(payment)
        if known is not None and known[0] > now:
            return _decode(known[2])
        self._kept.pop(payment, None)
        contents = contents_of(score)
        self._kept[score.customer_id, score.transaction_id] = now + _KEPT_SECONDS, contents, _encode(answer)
        self._log.add(Given(time.time(), score.customer_id, contents, answer))
        while self._kept and (len(self._kept) > _MOST_KEPT or next(iter(self._kept.values()))[0] < now):
            self._kept.popitem(last=False)
        return answer

    def write(self) -> None:
        """Hand the answers that were kept to the operating system, so that a restart knows them."""
        if not self._log.write() and not self._retrying:
            self._retrying = True
            self._loop.call_later(_RETRY_SECONDS, self._retry)

    def after_write(self, give: Callable[[], None]) -> None:
        """Call `give` after the next `write`, which is at once, and for all that are answered in the same moment."""
        if not self._giving:
            self._loop.call_soon(self._give)
        self._giving.append(give)

    def _give(self) -> None:
        self.write()
        giving, self._giving = self._giving, []
        for give in giving:
            try:
                give()
            except Exception:  # noqa: BLE001  # what fails for one fails for it alone
                _log.exception("an answer could not be given")

    def _retry(self) -> None:
        self._retrying = not self._log.write()
        if self._retrying:
            self._loop.call_later(_RETRY_SECONDS, self._retry)

    def enter(
        self, transaction: Transaction, value: bytes, trace: str | None, stamp: Stamp | None = None
    ) -> "asyncio.Future[Judged]":
        """Put a transaction into the log; the future is its score, or raises `NotJudged` or `Lost`.

        Of a transaction that is under way already it is the same future. Raises `Busy`, and `Differs`.
        """
        payment, contents = payment_of(transaction), contents_of(transaction)
        under_way = self._under_way.get(payment)
        if under_way is not None:
            if under_way.contents != contents:
                raise Differs(None)
            return under_way.future
        if len(self._waiting) >= self._most:
            raise Busy(f"{self._most:,} requests wait already")
        if len(self._late) >= _MOST_LATE:
            raise Busy(f"{_MOST_LATE:,} transactions are on their way into the log already")
        future: asyncio.Future[Judged] = self._loop.create_future()
        try:
            request = self._intake.send(value, transaction.customer_id, trace, stamp)
        except BufferError as error:
            raise Busy(str(error)) from error
        self._waiting[request] = future
        self._under_way[payment] = _UnderWay(contents, request, future)

        def done(_: "asyncio.Future[Judged]") -> None:
            self._under_way.pop(payment, None)
            if not future.cancelled():
                future.exception()  # whoever waited may have gone

        future.add_done_callback(done)
        return future

    def leave(self, transaction: Transaction) -> None:
        """Nobody waits for this transaction any more; it is on its way into the log all the same."""
        under_way = self._under_way.get(payment_of(transaction))
        future = None if under_way is None else self._waiting.pop(under_way.request, None)
        if under_way is not None and future is not None:
            self._late[under_way.request] = future

    def deliver(self, read: list[Read]) -> None:
        """Records that the tail has judged. Called in the tail's thread."""
        self._loop.call_soon_threadsafe(self._deliver, read)

    def fail(self, request: bytes, why: str) -> None:
        """A record did not reach the log. Called in the producer's thread."""
        self._loop.call_soon_threadsafe(self._fail, request, why)

    def _deliver(self, read: Sequence[Read]) -> None:
        for each in read:
            future = self._of(each.request)
            try:
                self._hand_over(Judged(score_of(each.outcome), each.stamp, each.agreed), future)
            except NotJudged as why:
                self._refuse(future, why)
            except Exception as error:  # noqa: BLE001  # our own bugs too: what fails for one record fails for it alone
                _log.exception("the answer of %d/%d failed", each.partition, each.offset)
                self._refuse(future, NotJudged(f"an error of ours: {type(error).__name__}"))
        self.write()  # what `unasked` has kept

    def _hand_over(self, judged: Judged, future: "asyncio.Future[Judged] | None") -> None:
        if future is None or future.done():
            self.unasked(judged)
        else:
            future.set_result(judged)

    def _refuse(self, future: "asyncio.Future[Judged] | None", why: NotJudged) -> None:
        if future is not None and not future.done():
            future.set_exception(why)

    def _fail(self, request: bytes, why: str) -> None:
        future = self._of(request)
        if future is not None and not future.done():
            future.set_exception(Lost(why))

    def _of(self, request: bytes) -> "asyncio.Future[Judged] | None":
        """What waits for a request's record, or waited too long; it is forgotten here."""
        return self._waiting.pop(request, None) or self._late.pop(request, None)
