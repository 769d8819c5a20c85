"""What is done with several cases or alerts at once: which alerts a verdict is said of, and to whom cases are assigned."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from sqlalchemy import Connection, and_, func, or_, select

from page.errors import Refused
from page.store import case as store
from page.store import locks, verdicts
from page.store.queue import Filter
from page.store.tables import alerts, cases
from page.store.verdicts import Verdict

MOST: Final = 500
"""Alerts at once: SQLite has one writer, and alerts that come have to wait so long."""


class Chosen(NamedTuple):
    """What somebody has ticked: cases, or single alerts. newest: the newest alert that was shown; later ones are not meant."""

    cases: Sequence[int]
    alerts: Sequence[int]
    newest: int


class Said(NamedTuple):
    """done: of how many alerts it is new. held: cases that somebody else works on, which were left out, and who."""

    done: int
    held: dict[int, str]


def say(
    connection: Connection, chosen: Chosen, which: Filter, verdict: Verdict, note: str, who: str, now: int, token: str
) -> Said:
    """Say one thing of all that wait in the chosen cases and are in the view, and of the chosen alerts. Raises `Refused`."""
    wanted = (
        select(alerts.c.id, alerts.c.case_id)
        .select_from(alerts.join(cases))
        .where(
            or_(
                alerts.c.id.in_(chosen.alerts),
                and_(
                    alerts.c.case_id.in_(chosen.cases),
                    alerts.c.id <= chosen.newest,
                    alerts.c.state == "open",
                    *which.conditions(now),
                ),
            )
        )
        .order_by(alerts.c.id)
        .limit(MOST + 1)
    )
    found = connection.execute(wanted).all()
    if len(found) > MOST:
        raise Refused(f"these are more than {MOST} alerts: choose fewer at once", 422)
    held = locks.of_others(connection, sorted({one.case_id for one in found}), who, now)
    numbers = [one.id for one in found if one.case_id not in held]
    done = verdicts.say(connection, numbers, verdict, note, who, now, token) if numbers else 0
    return Said(done, held)


def assign(connection: Connection, numbers: Sequence[int], to: str | None, who: str, now: int) -> int:
    """Give cases to somebody, or to nobody; returns how many have changed hands. Raises `Refused`."""
    if len(numbers) > MOST:
        raise Refused(f"these are more than {MOST} cases: choose fewer at once", 422)
    wanted = select(cases.c.id).where(cases.c.id.in_(numbers), func.coalesce(cases.c.assigned_to, "") != (to or ""))
    found = connection.execute(wanted.order_by(cases.c.id).with_for_update()).scalars().all()
    for number in found:
        store.assign(connection, number, to, who, now)
    return len(found)
