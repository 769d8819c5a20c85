"""Labels that wait for Kafka: written with the verdicts that they say, sent afterwards, each in its order."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection, func, insert, select, update

from page.store.tables import outbox


class Waiting(NamedTuple):
    """A label that is not known to be on its topic. label: `ml.schema.Label` as JSON. said_by: which analyst."""

    number: int
    label: str
    said_by: str


def put(connection: Connection, alert_id: int, label: str, said_by: str, now: int) -> None:
    """Add a label, within the transaction of its verdict."""
    connection.execute(insert(outbox).values(alert_id=alert_id, label=label, said_by=said_by, made_at=now))


def waiting(connection: Connection, limit: int) -> Sequence[Waiting]:
    """The oldest that wait, of each alert the first alone: what an analyst said next must not come before it."""
    first = select(func.min(outbox.c.id)).where(outbox.c.sent_at.is_(None)).group_by(outbox.c.alert_id)
    wanted = (
        select(outbox.c.id, outbox.c.label, outbox.c.said_by)
        .where(outbox.c.id.in_(first))
        .order_by(outbox.c.id)
        .limit(limit)
    )
    return [Waiting(*row) for row in connection.execute(wanted)]


def mark_sent(connection: Connection, numbers: Sequence[int], now: int) -> None:
    """What Kafka has confirmed."""
    connection.execute(update(outbox).where(outbox.c.id.in_(numbers)).values(sent_at=now))
