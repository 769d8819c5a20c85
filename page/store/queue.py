"""The queue: open alerts by case, filtered and sorted as the address of the page says."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, and_, func, or_, select

from page.store.tables import alerts, cases, locks

Order = Literal["exposure", "time"]
Status = Literal["open", "decided", "suppressed", "snoozed", "all"]
ORDERS: Final[tuple[Order, ...]] = ("exposure", "time")
STATUSES: Final[tuple[Status, ...]] = ("open", "decided", "suppressed", "snoozed", "all")


@dataclass(frozen=True)
class Filter:
    """Which alerts. score: at least; worth: at least, in the base currency. None: any. assigned: "" for nobody's."""

    status: Status = "open"
    score: float | None = None
    worth: float | None = None
    customer: str | None = None
    merchant: str | None = None
    country: str | None = None
    model_version: int | None = None
    rule: str | None = None
    assigned: str | None = None

    def conditions(self, now: int) -> list[ColumnElement[bool]]:
        """What holds for such alerts, and for their cases. now: ms since the epoch."""
        a, given = alerts.c, []
        state = {
            "open": [a.state == "open", a.hidden_until <= now],
            "snoozed": [a.state == "open", a.hidden_until > now],
            "all": [],
        }.get(self.status, [a.state == self.status])
        for column, value in (
            (a.customer_id, self.customer),
            (a.merchant_id, self.merchant),
            (a.country, self.country),
            (a.model_version, self.model_version),
            (a.rule, self.rule),
        ):
            if value is not None:
                given.append(column == value)
        if self.score is not None:
            given.append(a.score >= self.score)
        if self.worth is not None:
            given.append(a.worth >= self.worth)
        if self.assigned is not None:
            given.append(cases.c.assigned_to == self.assigned if self.assigned else cases.c.assigned_to.is_(None))
        return [*state, *given]


class CaseRow(NamedTuple):
    """One line of the queue: a case, and of its matching alerts how many there are and the largest of each.

    top: the alert of the largest exposure. amount, currency are of it. held_by: who has the lock now.
    """

    case_id: int
    customer_id: str
    alerts: int
    exposure: float
    worth: float
    score: float
    arrived_at: int
    assigned_to: str | None
    held_by: str | None
    top: Any


def rows(connection: Connection, which: Filter, order: Order, now: int, limit: int, skip: int = 0) -> Sequence[CaseRow]:
    """The cases that have such alerts, in order: of the largest exposure, or the newest, first."""
    found = connection.execute(_grouped(which, order, now).limit(limit).offset(skip)).all()
    tops = _tops(connection, which, [row.case_id for row in found], now)
    return [
        CaseRow(
            row.case_id,
            row.customer_id,
            row.alerts,
            row.exposure,
            row.worth,
            row.score,
            row.arrived_at,
            row.assigned_to,
            row.held_by if row.held_by is not None and row.until > now else None,
            tops[row.case_id],
        )
        for row in found
    ]


def newest(connection: Connection) -> int:
    """The number of the newest alert."""
    return connection.scalar(select(func.max(alerts.c.id))) or 0


def count(connection: Connection, which: Filter, now: int) -> tuple[int, int]:
    """(how many such alerts, in how many cases)."""
    wanted = select(func.count(), func.count(alerts.c.case_id.distinct()))
    found = connection.execute(wanted.select_from(alerts.join(cases)).where(*which.conditions(now))).one()
    return int(found[0]), int(found[1])


def next_case(connection: Connection, which: Filter, order: Order, who: str, now: int) -> int | None:
    """The first case in order that nobody else has a lock of and that is nobody else's; None where there is none."""
    free = or_(locks.c.held_by.is_(None), locks.c.until <= now, locks.c.held_by == who)
    own = or_(cases.c.assigned_to.is_(None), cases.c.assigned_to == who)
    found = connection.execute(_grouped(which, order, now).where(free, own).limit(1)).first()
    return None if found is None else int(found.case_id)


def _grouped(which: Filter, order: Order, now: int) -> Select[Any]:
    exposure, arrived = func.max(alerts.c.exposure), func.max(alerts.c.arrived_at)
    return (
        select(
            alerts.c.case_id,
            cases.c.customer_id,
            cases.c.assigned_to,
            locks.c.held_by,
            locks.c.until,
            func.count().label("alerts"),
            exposure.label("exposure"),
            func.sum(alerts.c.worth).label("worth"),
            func.max(alerts.c.score).label("score"),
            arrived.label("arrived_at"),
        )
        .select_from(alerts.join(cases).outerjoin(locks, locks.c.case_id == cases.c.id))
        .where(*which.conditions(now))
        .group_by(alerts.c.case_id, cases.c.customer_id, cases.c.assigned_to, locks.c.held_by, locks.c.until)
        .order_by((exposure if order == "exposure" else arrived).desc(), alerts.c.case_id)
    )


def _tops(connection: Connection, which: Filter, numbers: list[int], now: int) -> dict[int, Any]:
    """Of each case its matching alert of the largest exposure, without its record."""
    columns = [column for column in alerts.c if column.name != "record"]
    place = func.row_number().over(partition_by=alerts.c.case_id, order_by=(alerts.c.exposure.desc(), alerts.c.id))
    wanted = (
        select(*columns, place.label("place"))
        .select_from(alerts.join(cases))
        .where(and_(alerts.c.case_id.in_(numbers), *which.conditions(now)))
        .subquery()
    )
    return {row.case_id: row for row in connection.execute(select(wanted).where(wanted.c.place == 1))}
