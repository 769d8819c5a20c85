"""What keeps alerts out of the queue for a while: always with an end and a reason, never what is decided."""

from collections.abc import Sequence
from typing import Any, Final, Literal

from sqlalchemy import Connection, and_, insert, select, update

from page.errors import Refused
from page.store.history import Event, record
from page.store.tables import alerts, suppressions

Kind = Literal["customer", "merchant", "rule"]
Mode = Literal["snooze", "suppress"]
COLUMNS: Final = {"customer": alerts.c.customer_id, "merchant": alerts.c.merchant_id, "rule": alerts.c.rule}
"""By kind, what an alert is compared by; a rule is the feature that is its first reason."""

LONGEST_HOURS: Final = 24.0 * 90
LONGEST_REASON: Final = 1_000


def make(
    connection: Connection, kind: Kind, value: str, mode: Mode, hours: float, reason: str, who: str, now: int
) -> int:
    """Keep such alerts out of the queue, those that wait and those that come; returns its number. Raises `Refused`."""
    clean = reason.replace("\0", "\ufffd").strip()[:LONGEST_REASON]
    if not clean:
        raise Refused("a reason is required, so that others know why these alerts don't come", 422)
    if not 0 < hours <= LONGEST_HOURS:
        raise Refused(f"an end is required, at most {LONGEST_HOURS:g} hours from now", 422)
    ends_at = now + round(hours * 3_600_000)
    row = {"kind": kind, "value": value, "mode": mode, "reason": clean, "begins_at": now, "ends_at": ends_at}
    number = int(
        connection.execute(
            insert(suppressions).values(row | {"made_by": who}).returning(suppressions.c.id)
        ).scalar_one()
    )
    changes: dict[str, Any] = {"suppression_id": number}
    changes |= {"state": "suppressed"} if mode == "suppress" else {"hidden_until": ends_at}
    waits = and_(COLUMNS[kind] == value, alerts.c.state == "open")
    hidden = connection.execute(update(alerts).where(waits).values(changes)).rowcount
    record(connection, Event(now, who, mode, None, None, row | {"number": number, "alerts": hidden}))
    return number


def lift(connection: Connection, number: int, who: str, now: int) -> None:
    """End one before its time: its alerts that nobody decided about wait again. Raises `Refused` where there is none."""
    lasting = and_(suppressions.c.id == number, suppressions.c.lifted_at.is_(None))
    if not connection.execute(update(suppressions).where(lasting).values(lifted_at=now)).rowcount:
        raise Refused("there is no such suppression that lasts", 404)
    undecided = and_(alerts.c.suppression_id == number, alerts.c.verdict.is_(None))
    back = connection.execute(
        update(alerts).where(undecided).values(state="open", hidden_until=0, suppression_id=None)
    ).rowcount
    record(connection, Event(now, who, "lift", None, None, {"number": number, "alerts": back}))


def lasting(connection: Connection, now: int) -> Sequence[Any]:
    """Those that last, the one that ends first before the others."""
    wanted = select(suppressions).where(suppressions.c.ends_at > now, suppressions.c.lifted_at.is_(None))
    return connection.execute(wanted.order_by(suppressions.c.ends_at)).all()
