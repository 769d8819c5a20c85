"""The loop of a pull: ask for a page, put it on Kafka, keep the position, ask for the next one."""

import hashlib
import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import msgspec

from generator.producer import Outbox
from generator.pull.errors import PullError, RequestForgotten
from generator.pull.page import Ready, fields_of, for_pulling, ready
from generator.pull.paging import Paging, is_text, value_at, with_parameter
from generator.pull.position import KeptPosition, Position
from generator.pull.service import Service, shown
from generator.replay.mapping import Mapping
from generator.report import time_of

MOST_OF_A_CUSTOMER: Final = 10
"""So many transactions of one customer leave before the position is kept. A kill repeats at most these, and the fold knows a
customer's last 20 again (`ml.features.state_schema.RECENT`), so that no transaction is judged twice."""
MOST_AT_ONCE: Final = 2_000
LARGEST_DEAD_LETTER: Final = 256 << 10


class Pulled(msgspec.Struct):
    """What a pull has done since it was started."""

    transactions: int = 0
    dead_letters: int = 0
    seen_before: int = 0
    pages: int = 0
    last_event_time: datetime | None = None
    first_reason: str = ""


@dataclass(frozen=True)
class Target:
    """Where the records go, and how large key and value of a transaction may be together."""

    transactions: str
    invalid: str
    most_bytes: int = 65_536


@dataclass
class Puller:
    """Pulls from a service by a mapping.

    What is guaranteed: the position is kept on the disk only after Kafka has confirmed all up to there. So whenever the
    process is killed, no record is lost; at most MOST_OF_A_CUSTOMER transactions of a customer are sent again, which the fold
    removes as duplicates, and the dead letters among the same records.
    """

    service: Service
    paging: Paging
    mapping: Mapping
    outbox: Outbox
    target: Target
    kept: KeptPosition
    first_since: str | None = None
    progress: Callable[[Pulled], None] = lambda pulled: None
    pulled: Pulled = field(default_factory=Pulled)

    def __post_init__(self) -> None:
        self.mapping = for_pulling(self.mapping)
        if self.paging.since is not None and not self._since_column:
            raise PullError(
                "--since takes event_time as the service writes it, which stands in several fields here: write "
                "--since PARAMETER=FIELD"
            )
        self.stopped = threading.Event()
        self._position = Position("", "", "")

    @property
    def _since_column(self) -> str:
        return self.paging.field or self.mapping.event_time.column or ""

    def run(self, every: float | None) -> Pulled:
        """Pull all there is; again `every` so many seconds until it is stopped, or None for once.

        Raises PullError where the service can't be pulled from, and DeliveryFailed where Kafka did not take a record.
        """
        with self.kept.held():
            new = Position(
                shown(self.service.url), self.target.transactions, msgspec.json.encode(self.paging.__dict__).decode()
            )
            new.since = self.first_since
            self._position = self.kept.read(new)
            while not self.stopped.is_set():
                due = time.monotonic() + (every or 0.0)
                self._poll()
                if every is None or self.stopped.wait(max(0.0, due - time.monotonic())):
                    break
        return self.pulled

    def _poll(self) -> None:
        """Take all pages that there are now."""
        position = self._position
        url = position.request or self._first_url()
        asked = {hash(url)}
        while True:
            try:
                answer = self.service.ask(url, self.stopped)
            except RequestForgotten as error:
                if position.request is None:
                    raise
                self._begin_again(error)
                url = self._first_url()
                asked = {hash(url)}
                continue
            if answer is None:
                return
            records = self.paging.records_of(answer, url)
            self._take(records, url)
            following = self.paging.next_url(answer, url)
            if following is None or hash(following) in asked:  # pages that follow one another in a circle have no end
                break
            asked.add(hash(following))
            position.request = url = following
            self.kept.write(position)
            if self.stopped.is_set():
                return
        # Without `since` the last page is asked for again: it may have more by then.
        position.request = None if self.paging.since is not None else url
        position.since = position.largest or position.since
        self.kept.write(position)

    def _first_url(self) -> str:
        since = self._position.since
        if self.paging.since is None or since is None:
            return self.service.url
        return with_parameter(self.service.url, self.paging.since, since)

    def _begin_again(self, error: RequestForgotten) -> None:
        """A request from an earlier answer is refused: with `since`, what it would have given is asked for from there."""
        if self.paging.since is None:
            raise PullError(
                f"{error}; this page followed the last one. Delete {self.kept.file} to begin at the front"
            ) from None
        self._position.request = None

    def _take(self, page: list[Any], url: str) -> None:
        """Put a page's new records on Kafka, and keep that they are done."""
        self.pulled.pages += 1
        found = ready(page, self.mapping, self.target.most_bytes) if page else []
        self._refuse_wrong_mapping(page, found, url)
        known = {*self._position.seen, *self._position.edge}
        new = list({one.identity: one for one in reversed(found) if one.identity not in known}.values())[::-1]
        self.pulled.seen_before += len(found) - len(new)
        for some in _portions(new):
            self._send(some)
            self._position.remember([one.identity for one in some], len(page))
            if self.paging.since is not None:
                self._note_largest(some)
            self.kept.write(self._position)
            self.progress(self.pulled)

    def _refuse_wrong_mapping(self, page: list[Any], found: list[Ready], url: str) -> None:
        """Raises where the first page that a pull ever sees has nothing that fits: then not the records are wrong."""
        if found and not self._position.pulled and all(one.reason for one in found):
            raise PullError(
                f"none of the {len(found):,} records of {shown(url)} fits the mapping {self.mapping.name}: {found[0].reason}; "
                f"they have {fields_of(page)}"
            )

    def _send(self, some: list[Ready]) -> None:
        """Put records on their topics, and wait until Kafka has them."""
        now = int(time.time() * 1000)
        for one in some:
            if one.reason:
                self._send_dead_letter(one, now)
            else:
                self.outbox.put_all(self.target.transactions, [one.key], [one.value], [now])
                self.pulled.last_event_time = time_of(one.time)
        self.outbox.close()
        letters = sum(1 for one in some if one.reason)
        self.pulled.transactions += len(some) - letters
        self.pulled.dead_letters += letters
        self._position.pulled += len(some) - letters
        self._position.dead_letters += letters

    def _send_dead_letter(self, one: Ready, now: int) -> None:
        self.pulled.first_reason = self.pulled.first_reason or one.reason
        headers = {"reason": one.reason, "service": self._position.service}
        value = one.value
        if len(value) > LARGEST_DEAD_LETTER:
            headers |= {"truncated": "true", "original_value_bytes": str(len(value))}
            headers["sha256"] = hashlib.sha256(value).hexdigest()
            value = value[:LARGEST_DEAD_LETTER]
        self.outbox.put(self.target.invalid, one.key or None, value, now, headers)

    def _note_largest(self, some: list[Ready]) -> None:
        """Note the largest value of what `since` takes, and who has it."""
        position = self._position
        for one in some:
            value = value_at(one.raw, self._since_column)
            order = _order(value)
            if (one.reason and self.paging.field is None) or order is None:
                continue
            order = float(one.time) if self.paging.field is None else order
            largest = position.order
            if largest is None or _after(order, largest):
                position.largest, position.order, position.edge = str(value), order, [one.identity]
            elif order == largest:
                position.edge.append(one.identity)


def _portions(records: list[Ready]) -> Iterator[list[Ready]]:
    """Records in their order, in lists that hold at most MOST_OF_A_CUSTOMER of a customer."""
    some: list[Ready] = []
    of: Counter[bytes] = Counter()
    for one in records:
        if len(some) == MOST_AT_ONCE or (not one.reason and of[one.key] == MOST_OF_A_CUSTOMER):
            yield some
            some, of = [], Counter()
        some.append(one)
        of[one.key] += 1
    if some:
        yield some


def _order(value: Any) -> float | str | None:
    """What a value is compared by; None for what is after nothing and before nothing, or can't be asked for."""
    if value is None or isinstance(value, bool | dict | list):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    except ValueError:
        return str(value) if is_text(str(value)) else None
    return number if math.isfinite(number) else None


def _after(one: float | str, other: float | str) -> bool:
    """Numbers by size, texts by their characters; a text is after any number."""
    if isinstance(one, float) and isinstance(other, float):
        return one > other
    return isinstance(one, str) and (isinstance(other, float) or one > other)
