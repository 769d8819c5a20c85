"""Takes alerts into the store, each exactly once, with the offsets up to which they were read."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, and_, bindparam, insert, select, update

from ml.schema import Lane
from page.store.alert import Alert
from page.store.tables import alerts, cases, feed_offsets, suppressions

CASE_MS: Final = 24 * 3_600_000
"""An alert joins its customer's newest case where that is open and its last alert is no older than this."""


_SEEN_AT: Final[dict[Lane, str]] = {"spark": "spark_at", "early": "early_at"}
"""By lane, the column that says when its alert came."""


class Read(NamedTuple):
    """One record of a topic of alerts. topic: its name and id; at: its Kafka time, ms; alert: None where it can't be read."""

    topic: str
    partition: int
    offset: int
    at: int
    lane: Lane
    alert: Alert | None


def offsets(connection: Connection, topic: str) -> dict[int, int]:
    """By partition of a topic: the offset of the first record that is not taken in."""
    wanted = select(feed_offsets.c.partition, feed_offsets.c.next_offset).where(feed_offsets.c.topic == topic)
    return {row.partition: row.next_offset for row in connection.execute(wanted)}


def take_in(connection: Connection, log: str, batch: Sequence[Read], now: int) -> int:
    """Take in records, in their order, and how far each topic is read; those that were taken in before change nothing.

    log: the id of the topic that the alerts' transactions are on. now: ms. Returns how many alerts are new.
    """
    topics = sorted({one.topic for one in batch})
    known = {(topic, part): at for topic in topics for part, at in _claimed(connection, topic).items()}
    fresh = []
    for one in batch:
        if one.offset >= known.get((one.topic, one.partition), 0):
            known[one.topic, one.partition] = one.offset + 1
            fresh.append(one)
    readable = [(one, one.alert) for one in fresh if one.alert is not None]
    pending = _Pending(connection, log, readable, now)
    for record, alert in readable:
        pending.take(record, alert)
    pending.write(connection)
    for (topic, partition), next_offset in known.items():
        _keep_offset(connection, topic, partition, next_offset)
    return len(pending.new)


def _claimed(connection: Connection, topic: str) -> dict[int, int]:
    """The offsets, which another page on the same store can't change until this transaction ends."""
    wanted = select(feed_offsets.c.partition, feed_offsets.c.next_offset).where(feed_offsets.c.topic == topic)
    return {row.partition: row.next_offset for row in connection.execute(wanted.with_for_update())}


def _keep_offset(connection: Connection, topic: str, partition: int, next_offset: int) -> None:
    place = and_(feed_offsets.c.topic == topic, feed_offsets.c.partition == partition)
    done = connection.execute(update(feed_offsets).where(place).values(next_offset=next_offset))
    if done.rowcount == 0:
        connection.execute(insert(feed_offsets).values(topic=topic, partition=partition, next_offset=next_offset))


class _Place(NamedTuple):
    partition: int
    offset: int
    transaction_id: str


@dataclass(eq=False)
class _Case:
    """A case that alerts of a batch join. number: None until it is written. joined: its last alert is of this batch."""

    customer_id: str
    opened_at: int
    last_at: int
    closed_at: int | None
    number: int | None = None
    joined: bool = False

    def row(self) -> dict[str, Any]:
        return {
            "customer_id": self.customer_id,
            "opened_at": self.opened_at,
            "last_at": self.last_at,
            "closed_at": self.closed_at,
        }


class _Lasting(NamedTuple):
    number: int
    mode: str
    ends_at: int


def _lasting(connection: Connection, now: int) -> dict[tuple[str, str], _Lasting]:
    wanted = (
        select(suppressions)
        .where(suppressions.c.ends_at > now, suppressions.c.lifted_at.is_(None))
        .order_by(suppressions.c.ends_at)
    )
    return {(row.kind, row.value): _Lasting(row.id, row.mode, row.ends_at) for row in connection.execute(wanted)}


class _Pending:
    """What a batch will write, worked out by few questions to the store and written by few statements."""

    def __init__(self, connection: Connection, log: str, batch: Sequence[tuple[Read, Alert]], now: int) -> None:
        self.new: dict[_Place, dict[str, Any]] = {}
        self._log = log
        self._lasting = _lasting(connection, now)
        self._there = _there(connection, log, {alert.transaction_id for _, alert in batch})
        oldest = min((one.at for one, _ in batch), default=0)
        self._cases = _cases_of(connection, {alert.customer_id for _, alert in batch}, oldest)
        self._early: list[dict[str, Any]] = []
        self._spark: list[dict[str, Any]] = []

    def take(self, one: Read, alert: Alert) -> None:
        """One alert. Where the other lane's of the same transaction is there already, its time is added."""
        place = _Place(alert.partition, alert.offset, alert.transaction_id)
        seen_at = _SEEN_AT[one.lane]
        there = self._there.get(place)
        if there is not None:
            if there[seen_at] is None:
                there[seen_at] = one.at
                if place not in self.new:
                    self._add(there["id"], one, alert)
                elif one.lane == "spark":
                    there |= alert._asdict()
            return
        held = next(iter(_matching(alert, self._lasting)), None)
        row: dict[str, Any] = {
            **alert._asdict(),
            "log": self._log,
            **dict.fromkeys(_SEEN_AT.values()),
            seen_at: one.at,
            "arrived_at": one.at,
            "state": "suppressed" if held is not None and held.mode == "suppress" else "open",
            "hidden_until": held.ends_at if held is not None and held.mode == "snooze" else 0,
            "suppression_id": None if held is None else held.number,
        }
        row["case"] = self._case_of(alert.customer_id, one.at, row["state"] == "open")
        self._there[place] = self.new[place] = row

    def write(self, connection: Connection) -> None:
        """Write it all."""
        cases_now = [case for own in self._cases.values() for case in own]
        made = [case for case in cases_now if case.number is None]
        if made:
            rows = [case.row() for case in made]
            added = connection.execute(insert(cases).returning(cases.c.id, sort_by_parameter_order=True), rows)
            for case, number in zip(made, added.scalars(), strict=True):
                case.number = number
        later = [{"number": case.number, "to": case.last_at} for case in cases_now if case.joined]
        if later:
            wanted = update(cases).where(cases.c.id == bindparam("number")).values(last_at=bindparam("to"))
            connection.execute(wanted, later)
        if self.new:
            connection.execute(insert(alerts), [_with_case(row) for row in self.new.values()])
        if self._early:
            at = update(alerts).where(alerts.c.id == bindparam("number")).values(early_at=bindparam("at"))
            connection.execute(at, self._early)
        if self._spark:
            own: dict[str, Any] = {name: bindparam(f"its_{name}") for name in Alert._fields}
            whole = (
                update(alerts).where(alerts.c.id == bindparam("number")).values({**own, "spark_at": bindparam("at")})
            )
            connection.execute(whole, self._spark)

    def _add(self, number: int, one: Read, alert: Alert) -> None:
        """The other lane's alert of a row that is in the store. Spark's record is the lasting one."""
        if one.lane == "early":
            self._early.append({"number": number, "at": one.at})
        else:
            its = {f"its_{name}": value for name, value in alert._asdict().items()}
            self._spark.append({"number": number, "at": one.at, **its})

    def _case_of(self, customer_id: str, at: int, is_open: bool) -> "_Case":
        """The case that an alert belongs to, which is made where there is none."""
        own = self._cases.setdefault(customer_id, [])
        fits = (
            case for case in reversed(own) if case.last_at >= at - CASE_MS and (case.closed_at is None or not is_open)
        )
        found = next(fits, None)
        if found is None:
            found = _Case(customer_id, at, at, None if is_open else at)
            own.append(found)
        elif at > found.last_at:
            found.last_at = at
            found.joined = found.number is not None
        return found


def _with_case(row: dict[str, Any]) -> dict[str, Any]:
    whole = {name: value for name, value in row.items() if name != "case"}
    return whole | {"case_id": row["case"].number}


def _there(connection: Connection, log: str, transactions: set[str]) -> dict[_Place, dict[str, Any]]:
    """The alerts of some transactions that are in the store, by place."""
    a = alerts.c
    wanted = select(a.id, a.partition, a.offset, a.transaction_id, a.early_at, a.spark_at)
    found = connection.execute(wanted.where(a.log == log, a.transaction_id.in_(transactions)))
    return {_Place(*row[1:4]): {"id": row.id, "early_at": row.early_at, "spark_at": row.spark_at} for row in found}


def _cases_of(connection: Connection, customers: set[str], oldest: int) -> dict[str, list[_Case]]:
    """The cases of some customers that alerts from `oldest` on may join, by customer, the oldest first."""
    wanted = select(cases).where(cases.c.customer_id.in_(customers), cases.c.last_at >= oldest - CASE_MS)
    found: dict[str, list[_Case]] = {}
    for row in connection.execute(wanted.order_by(cases.c.id)):
        found.setdefault(row.customer_id, []).append(
            _Case(row.customer_id, row.opened_at, row.last_at, row.closed_at, row.id)
        )
    return found


def _matching(alert: Alert, lasting: dict[tuple[str, str], _Lasting]) -> Iterable[_Lasting]:
    """What keeps this alert out of the queue, what suppresses it first."""
    own = (("customer", alert.customer_id), ("merchant", alert.merchant_id), ("rule", alert.rule))
    found = [lasting[kind, value] for kind, value in own if value is not None and (kind, value) in lasting]
    return sorted(found, key=lambda one: (one.mode != "suppress", -one.ends_at))
