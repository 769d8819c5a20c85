"""Takes alerts into the store, each exactly once, with the offsets up to which they were read."""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from sqlalchemy import Connection, and_, insert, select, update

from ml.schema import Lane
from page.store.alert import Alert
from page.store.tables import alerts, cases, feed_offsets, suppressions

CASE_MS: Final = 24 * 3_600_000
"""An alert joins its customer's newest case where that is open and its last alert is no older than this."""


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
    known = {
        (topic, part): at for topic in {r.topic for r in batch} for part, at in _claimed(connection, topic).items()
    }
    new = 0
    lasting = _lasting(connection, now)
    for one in batch:
        place = (one.topic, one.partition)
        if one.offset < known.get(place, 0):
            continue
        if one.alert is not None:
            new += _take_one(connection, log, one, one.alert, lasting)
        known[place] = one.offset + 1
    for (topic, partition), next_offset in known.items():
        _keep_offset(connection, topic, partition, next_offset)
    return new


def _claimed(connection: Connection, topic: str) -> dict[int, int]:
    """The offsets, which another page on the same store can't change until this transaction ends."""
    wanted = select(feed_offsets.c.partition, feed_offsets.c.next_offset).where(feed_offsets.c.topic == topic)
    return {row.partition: row.next_offset for row in connection.execute(wanted.with_for_update())}


def _keep_offset(connection: Connection, topic: str, partition: int, next_offset: int) -> None:
    place = and_(feed_offsets.c.topic == topic, feed_offsets.c.partition == partition)
    done = connection.execute(update(feed_offsets).where(place).values(next_offset=next_offset))
    if done.rowcount == 0:
        connection.execute(insert(feed_offsets).values(topic=topic, partition=partition, next_offset=next_offset))


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


def _take_one(
    connection: Connection, log: str, one: Read, alert: Alert, lasting: dict[tuple[str, str], _Lasting]
) -> int:
    """0 where the other lane's alert of the same transaction is there already: then its time is added."""
    seen_at = {"spark": "spark_at", "early": "early_at"}[one.lane]
    same = and_(
        alerts.c.log == log,
        alerts.c.partition == alert.partition,
        alerts.c.offset == alert.offset,
        alerts.c.transaction_id == alert.transaction_id,
    )
    there = connection.execute(select(alerts.c.id, alerts.c[seen_at]).where(same)).first()
    if there is not None:
        if there[1] is None:
            # Spark's record is the lasting one.
            more = alert._asdict() if one.lane == "spark" else {}
            connection.execute(update(alerts).where(alerts.c.id == there.id).values({**more, seen_at: one.at}))
        return 0
    held = next(iter(_matching(alert, lasting)), None)
    state = "suppressed" if held is not None and held.mode == "suppress" else "open"
    row = {
        **alert._asdict(),
        "log": log,
        seen_at: one.at,
        "arrived_at": one.at,
        "case_id": _case_of(connection, alert.customer_id, one.at, state == "open"),
        "state": state,
        "hidden_until": held.ends_at if held is not None and held.mode == "snooze" else 0,
        "suppression_id": None if held is None else held.number,
    }
    connection.execute(insert(alerts).values(row))
    return 1


def _matching(alert: Alert, lasting: dict[tuple[str, str], _Lasting]) -> Iterable[_Lasting]:
    """What keeps this alert out of the queue, what suppresses it first."""
    own = (("customer", alert.customer_id), ("merchant", alert.merchant_id), ("rule", alert.rule))
    found = [lasting[kind, value] for kind, value in own if value is not None and (kind, value) in lasting]
    return sorted(found, key=lambda one: (one.mode != "suppress", -one.ends_at))


def _case_of(connection: Connection, customer_id: str, at: int, is_open: bool) -> int:
    """The case that an alert belongs to, which is made where there is none."""
    wanted = (
        select(cases.c.id, cases.c.last_at)
        .where(cases.c.customer_id == customer_id, cases.c.last_at >= at - CASE_MS)
        .order_by(cases.c.id.desc())
        .limit(1)
    )
    if is_open:
        wanted = wanted.where(cases.c.closed_at.is_(None))
    found = connection.execute(wanted).first()
    if found is not None:
        connection.execute(update(cases).where(cases.c.id == found.id).values(last_at=max(found.last_at, at)))
        return int(found.id)
    made = {"customer_id": customer_id, "opened_at": at, "last_at": at, "closed_at": None if is_open else at}
    done = connection.execute(insert(cases).values(made).returning(cases.c.id))
    return int(done.scalar_one())
