"""What everyone did: rows that are added and never changed."""

import json
from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection, insert, select

from page.store.tables import history


class Event(NamedTuple):
    """One thing that somebody did. at: ms since the epoch. detail: what is particular to it."""

    at: int
    who: str
    what: str
    case_id: int | None
    alert_id: int | None
    detail: dict[str, object]


def record(connection: Connection, event: Event) -> None:
    """Add an event, within the transaction that does what it is about."""
    row = event._asdict() | {"detail": json.dumps(event.detail, ensure_ascii=True)}
    connection.execute(insert(history).values(row))


def events(
    connection: Connection, case_id: int | None = None, before: int | None = None, limit: int = 100
) -> Sequence[tuple[int, Event]]:
    """(number, event) of a case, or of all, the newest first. before: those with a lower number alone."""
    wanted = select(history).order_by(history.c.id.desc()).limit(limit)
    if case_id is not None:
        wanted = wanted.where(history.c.case_id == case_id)
    if before is not None:
        wanted = wanted.where(history.c.id < before)
    return [
        (row.id, Event(row.at, row.who, row.what, row.case_id, row.alert_id, json.loads(row.detail)))
        for row in connection.execute(wanted)
    ]
