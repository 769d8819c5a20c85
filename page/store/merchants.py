"""Alerts by merchant: what a customer's case does not show, many customers' alerts at one place."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, Select, func, select

from page.store.queue import Filter, Order
from page.store.tables import alerts, cases, locks

MOST_ALERTS: Final = 500
"""Of one merchant that are shown, those that wait first; a merchant may have more."""


def merchants(
    connection: Connection, which: Filter, order: Order, now: int, limit: int, skip: int = 0
) -> Sequence[Any]:
    """The merchants of such alerts, in order: of the largest exposure together, or the newest alert, first.

    merchant_id, alerts, customers, cases, exposure and worth (sums), score (the largest), arrived_at (the newest).
    """
    exposure, arrived = func.sum(alerts.c.exposure), func.max(alerts.c.arrived_at)
    wanted = (
        select(
            alerts.c.merchant_id,
            func.count().label("alerts"),
            func.count(alerts.c.customer_id.distinct()).label("customers"),
            func.count(alerts.c.case_id.distinct()).label("cases"),
            exposure.label("exposure"),
            func.sum(alerts.c.worth).label("worth"),
            func.max(alerts.c.score).label("score"),
            arrived.label("arrived_at"),
        )
        .select_from(alerts.join(cases))
        .where(alerts.c.merchant_id.is_not(None), *which.conditions(now))
        .group_by(alerts.c.merchant_id)
        .order_by((exposure if order == "exposure" else arrived).desc(), alerts.c.merchant_id)
    )
    return connection.execute(wanted.limit(limit).offset(skip)).all()


def count(connection: Connection, which: Filter, now: int) -> tuple[int, int]:
    """(how many such alerts name a merchant, how many merchants)."""
    wanted = select(func.count(), func.count(alerts.c.merchant_id.distinct())).select_from(alerts.join(cases))
    found = connection.execute(wanted.where(alerts.c.merchant_id.is_not(None), *which.conditions(now))).one()
    return int(found[0]), int(found[1])


def alerts_of(connection: Connection, merchant_id: str, now: int) -> Sequence[Any]:
    """A merchant's alerts without their records, those that wait first, each with whom its case is with.

    held_by: who works on the case now; assigned_to.
    """
    columns = [column for column in alerts.c if column.name != "record"]
    wanted: Select[Any] = (
        select(*columns, cases.c.assigned_to, locks.c.held_by)
        .select_from(alerts.join(cases).outerjoin(locks, (locks.c.case_id == cases.c.id) & (locks.c.until > now)))
        .where(alerts.c.merchant_id == merchant_id)
        .order_by((alerts.c.state != "open").asc(), alerts.c.exposure.desc(), alerts.c.id)
    )
    return connection.execute(wanted.limit(MOST_ALERTS)).all()
