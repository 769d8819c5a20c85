"""One case as an analyst sees it: its alerts, what there was before, who has it."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple, Protocol

from sqlalchemy import Column, Connection, func, select, update

from page.errors import Refused
from page.store.history import Event, record
from page.store.tables import alerts, cases

MOST_ALERTS: Final = 500
"""Of one case that are shown; a case may have more."""


class Placed(Protocol):
    """A transaction with its place on its topic."""

    @property
    def transaction_id(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...


class Known(NamedTuple):
    """What the store knows of a merchant: alerts by verdict."""

    alerts: int
    fraud: int
    honest: int


def case(connection: Connection, number: int) -> Any:
    """A row of `cases`. Raises `Refused` where there is none."""
    found = connection.execute(select(cases).where(cases.c.id == number)).first()
    if found is None:
        raise Refused(f"there is no case {number}", 404)
    return found


def alerts_of(connection: Connection, case_id: int) -> Sequence[Any]:
    """Its alerts without their records: those that wait first, each by exposure."""
    columns = [column for column in alerts.c if column.name != "record"]
    decided = (alerts.c.state != "open").asc()
    wanted = (
        select(*columns).where(alerts.c.case_id == case_id).order_by(decided, alerts.c.exposure.desc(), alerts.c.id)
    )
    return connection.execute(wanted.limit(MOST_ALERTS)).all()


def record_of(connection: Connection, alert_id: int) -> str:
    """An alert's score as JSON. Raises `Refused` where there is none."""
    found = connection.execute(select(alerts.c.record).where(alerts.c.id == alert_id)).scalar()
    if found is None:
        raise Refused(f"there is no alert {alert_id}", 404)
    return str(found)


def case_of(connection: Connection, alert_id: int) -> int | None:
    """Which case an alert is of; None where there is no such alert."""
    return connection.execute(select(alerts.c.case_id).where(alerts.c.id == alert_id)).scalar()


def alerts_at(connection: Connection, found: Sequence[Placed]) -> dict[tuple[int, int, str], Any]:
    """Of some transactions those that are alerts, by partition, offset and id: id, case_id, state, verdict."""
    a = alerts.c
    names = {one.transaction_id for one in found}
    wanted = select(a.id, a.case_id, a.state, a.verdict, a.partition, a.offset, a.transaction_id)
    rows = connection.execute(wanted.where(a.transaction_id.in_(names)).order_by(a.id)) if names else ()
    return {(row.partition, row.offset, row.transaction_id): row for row in rows}


def value_of(connection: Connection, alert_id: int, column: Column[Any]) -> str:
    """What an alert has in a column. Raises `Refused` where it has nothing there, or there is no such alert."""
    found = connection.execute(select(column).where(alerts.c.id == alert_id)).scalar()
    if found is None:
        raise Refused("that alert names none", 422)
    return str(found)


def earlier(connection: Connection, customer_id: str, case_id: int, limit: int = 10) -> Sequence[Any]:
    """(id, opened_at, closed_at, alerts, fraud, honest) of the customer's other cases, the newest first."""
    wanted = (
        select(
            cases.c.id,
            cases.c.opened_at,
            cases.c.closed_at,
            func.count().label("alerts"),
            func.count().filter(alerts.c.verdict == "fraud").label("fraud"),
            func.count().filter(alerts.c.verdict == "honest").label("honest"),
        )
        .select_from(cases.join(alerts))
        .where(cases.c.customer_id == customer_id, cases.c.id != case_id)
        .group_by(cases.c.id, cases.c.opened_at, cases.c.closed_at)
        .order_by(cases.c.id.desc())
        .limit(limit)
    )
    return connection.execute(wanted).all()


def merchant(connection: Connection, merchant_id: str) -> Known:
    """What became of alerts at a merchant."""
    wanted = select(
        func.count(),
        func.count().filter(alerts.c.verdict == "fraud"),
        func.count().filter(alerts.c.verdict == "honest"),
    ).where(alerts.c.merchant_id == merchant_id)
    return Known(*connection.execute(wanted).one())


def assign(connection: Connection, case_id: int, to: str | None, who: str, now: int) -> None:
    """Give a case to an analyst, or to nobody. Raises `Refused` where there is no such case."""
    before = case(connection, case_id).assigned_to
    connection.execute(update(cases).where(cases.c.id == case_id).values(assigned_to=to))
    record(connection, Event(now, who, "assign", case_id, None, {"to": to, "before": before}))
