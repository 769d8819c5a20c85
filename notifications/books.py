"""What is kept of cases, digests and messages; bounded, and written to the disk as it stands."""

from typing import Any, Final, Literal

import msgspec

from notifications.items import Item

SHOWN: Final = 5
"""So many items a message or a line of a digest shows in detail."""
LINES: Final = 40
"""So many lines a digest has; the others are one line together."""
_CURRENCIES: Final = 4
_CLOCK_SECONDS: Final = 60.0
"""A clock that is set back by no more than this is left to itself."""
OTHERS: Final = "others"

Kind = Literal["case", "update", "repeat", "resolved", "digest"]


class Tally(msgspec.Struct):
    """How many items, what they come to by currency, and those with the most at stake."""

    count: int = 0
    amounts: dict[str, float] = {}
    shown: list[Item] = []

    @classmethod
    def of(cls, item: Item) -> "Tally":
        """Of one item."""
        tally = cls()
        tally.add(item)
        return tally

    def add(self, item: Item) -> None:
        """Count one more item."""
        self.merge(Tally(1, {item.names.currency: item.amount} if item.record == "alert" else {}, [item.kept()]))

    def merge(self, other: "Tally") -> None:
        """Count what another tally counted."""
        self.count += other.count
        for currency, amount in other.amounts.items():
            known = currency in self.amounts or len(self.amounts) < _CURRENCIES
            name = currency if known else OTHERS
            self.amounts[name] = self.amounts.get(name, 0.0) + amount
        self.shown = sorted([*self.shown, *other.shown], key=lambda each: (-each.risk, -each.at))[:SHOWN]

    def copied(self) -> "Tally":
        """The same figures, apart from what is shown."""
        return Tally(self.count, dict(self.amounts))


class Group(msgspec.Struct):
    """One case: the items of one route that have the same names, for one channel. Times are seconds since 1970.

    next_at: when something may leave; None where nothing waits. firing: events that are not resolved, by kind and subject.
    """

    channel: str
    route: str
    named: dict[str, str]
    case: str
    opened: float
    newest: float = 0.0
    next_at: float | None = None
    sent_at: float = 0.0
    messages: int = 0
    severity: str = "info"
    pending: Tally = msgspec.field(default_factory=Tally)
    total: Tally = msgspec.field(default_factory=Tally)
    firing: dict[str, Item] = {}


class Digested(msgspec.Struct):
    """A line of a digest."""

    route: str
    group: str
    tally: Tally


class Book(msgspec.Struct):
    """Of one channel: when messages left, within the time of its rate, and what waits for its next digest."""

    sent: list[float] = []
    digest: dict[str, Digested] = {}
    digest_at: float | None = None
    undelivered: int = 0
    undelivered_items: int = 0

    @property
    def has_digest(self) -> bool:
        """Whether a digest has something to say."""
        return bool(self.digest or self.undelivered)

    def add(self, route: str, group: str, tally: Tally) -> None:
        """Count items in the next digest."""
        name = f"{route}\0{group}"
        if name not in self.digest and len(self.digest) >= LINES:
            name, route, group = OTHERS, "", OTHERS
        line = self.digest.setdefault(name, Digested(route, group, Tally()))
        line.tally.merge(tally)

    def clear_digest(self) -> None:
        """The digest has left."""
        self.digest, self.digest_at, self.undelivered, self.undelivered_items = {}, None, 0, 0


class Message(msgspec.Struct, frozen=True):
    """What is sent once to one channel. id: the same however often it is sent. new: what no earlier message counted; total: the
    whole case up to it; number: which message of its case it is; silences: those that hold, in words."""

    id: str
    channel: str
    route: str
    kind: Kind
    at: float
    severity: str
    case: str | int
    number: int
    group: dict[str, str]
    new: Tally
    total: Tally
    firing: tuple[Item, ...] = ()
    lines: tuple[Digested, ...] = ()
    undelivered: int = 0
    undelivered_items: int = 0
    silences: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """Items that no earlier message counted."""
        return self.new.count


class State(msgspec.Struct):
    """All that outlives a restart. offsets: the next record to read, by topic and partition; outbox: messages that left the
        cases and were not yet delivered or given up; seen: the alerts that came last, of which another copy may come.
    clock: the time when something was last done."""

    groups: dict[str, Group] = {}
    books: dict[str, Book] = {}
    silenced: dict[str, int] = {}
    numbers: int = 0
    digests: int = 0
    looked_at: float = 0.0
    clock: float = 0.0
    offsets: dict[str, dict[int, int]] = {}
    outbox: list[Message] = []
    seen: list[str] = []
    counted: dict[str, int] = {}

    def number(self) -> str:
        """The number of a new case."""
        self.numbers += 1
        return str(self.numbers)

    def goes_by(self, now: float) -> bool:
        """Go by a clock; returns whether it was set back, as where it was ahead for a while. Then all times go back with it, so
        that what waits waits no longer than before, and what left lately still counts for the rates."""
        back, self.clock = self.clock - now, now
        if back <= _CLOCK_SECONDS:
            return False
        for group in self.groups.values():
            group.opened, group.newest, group.sent_at = group.opened - back, group.newest - back, group.sent_at - back
            group.next_at = None if group.next_at is None else group.next_at - back
        for book in self.books.values():
            book.sent = [at - back for at in book.sent]
            book.digest_at = None if book.digest_at is None else book.digest_at - back
        self.looked_at -= back
        return True

    def count(self, what: str, by: int = 1) -> None:
        """Count for the status."""
        self.counted[what] = self.counted.get(what, 0) + by

    def encoded(self) -> bytes:
        """As it is written."""
        return _encoder.encode(self)


def decoded(content: bytes) -> State:
    """What `State.encoded` gave. Raises `msgspec.MsgspecError` or `UnicodeDecodeError`."""
    return msgspec.msgpack.decode(content, type=State)


def _plain(value: Any) -> Any:
    raise TypeError(f"{type(value).__name__} is not kept")


_encoder: Final = msgspec.msgpack.Encoder(enc_hook=_plain)
