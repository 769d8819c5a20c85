"""What analysts say of alerts: fraud, honest or unsure, and that they take it back."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final, Literal

import msgspec
from sqlalchemy import Connection, and_, exists, insert, select, true, update

from ml.schema import Label
from page.errors import Refused
from page.store import locks, outbox
from page.store.history import Event, record
from page.store.tables import alerts, cases, verdicts

Verdict = Literal["fraud", "honest", "unsure"]
VERDICTS: Final[dict[Verdict, bool | None]] = {"fraud": True, "honest": False, "unsure": None}
"""Each verdict, and what a label says of it: unsure is no label."""

LONGEST_NOTE: Final = 4_000
_SOURCE: Final = "analyst"


class _Customer(msgspec.Struct):
    transaction_id: str
    customer_id: str


_customer: Final = msgspec.json.Decoder(_Customer).decode


def say(
    connection: Connection, numbers: Sequence[int], verdict: Verdict, note: str, who: str, now: int, token: str
) -> int:
    """Say something of alerts, all by one form; a token that was used before changes nothing. Returns of how many it is new.

    Raises `Refused` while somebody else works on one of their cases, and where an alert is not there.
    """
    clean = note.replace("\0", "\ufffd")[:LONGEST_NOTE]
    found = _claimed(connection, numbers)
    done = 0
    for alert in found:
        locks.check_free(connection, alert.case_id, who, now)
        if connection.execute(select(_said_by_form(token, alert.id))).scalar():
            continue
        row = {"alert_id": alert.id, "verdict": verdict, "note": clean, "said_by": who, "said_at": now, "token": token}
        connection.execute(insert(verdicts).values(row))
        _settle(connection, alert, verdict, "decided")
        if verdict != "unsure" or VERDICTS.get(alert.verdict) is not None:
            outbox.put(connection, alert.id, _label(alert.record, VERDICTS[verdict], now), who, now)
        detail: dict[str, object] = {"verdict": verdict, "note": clean, "before": alert.verdict}
        record(connection, Event(now, who, "verdict", alert.case_id, alert.id, detail))
        done += 1
    for case_id in {alert.case_id for alert in found}:
        _close_if_done(connection, case_id, who, now)
    return done


def undo(connection: Connection, who: str, now: int, token: str | None = None, number: int | None = None) -> int | None:
    """Take back what this analyst said last, of all alerts that it was said of; returns the case, None where there is nothing.

    token: what was said by that form instead; number: of that alert of it alone. An alert of which somebody has said something
    else since stays as it is. Labels that were sent are withdrawn.
    """
    mine = and_(verdicts.c.said_by == who, verdicts.c.withdrawn_at.is_(None))
    newest = select(verdicts.c.token).where(mine).order_by(verdicts.c.id.desc()).limit(1)
    last = token if token is not None else connection.execute(newest).scalar()
    if last is None:
        return None
    mine = and_(mine, verdicts.c.token == last)
    said = connection.execute(
        select(verdicts).where(mine, true() if number is None else verdicts.c.alert_id == number)
    ).all()
    if not said:
        return None
    by_number = {one.alert_id: one for one in said}
    case_id = None
    for alert in _claimed(connection, list(by_number)):
        own = by_number[alert.id]
        connection.execute(update(verdicts).where(verdicts.c.id == own.id).values(withdrawn_at=now))
        case_id = alert.case_id
        if _is_newest(connection, own):
            _settle(connection, alert, None, "open")
            connection.execute(update(cases).where(cases.c.id == alert.case_id).values(closed_at=None))
            if VERDICTS.get(own.verdict) is not None:
                outbox.put(connection, alert.id, _label(alert.record, None, now), who, now)
        record(connection, Event(now, who, "undo", alert.case_id, alert.id, {"verdict": own.verdict}))
    return case_id


def said_by_form(connection: Connection, token: str, who: str) -> Sequence[Any]:
    """What an analyst said by one form: of each alert its verdict, note, when it was taken back, and the alert's own fields."""
    a = alerts.c
    wanted = (
        select(verdicts, a.case_id, a.transaction_id, a.customer_id, a.merchant_id, a.event_time, a.worth, a.score)
        .join(alerts, a.id == verdicts.c.alert_id)
        .where(verdicts.c.token == token, verdicts.c.said_by == who)
        .order_by(a.case_id, a.id)
    )
    return connection.execute(wanted).all()


def said_of(connection: Connection, case_id: int) -> dict[int, list[Any]]:
    """By alert of a case: what was said of it, the newest first."""
    wanted = (
        select(verdicts)
        .join(alerts, alerts.c.id == verdicts.c.alert_id)
        .where(alerts.c.case_id == case_id)
        .order_by(verdicts.c.id.desc())
    )
    found: dict[int, list[Any]] = {}
    for row in connection.execute(wanted):
        found.setdefault(row.alert_id, []).append(row)
    return found


def _claimed(connection: Connection, numbers: Sequence[int]) -> Sequence[Any]:
    """Alerts by number, which nobody else can decide about until this transaction ends. Raises `Refused`."""
    wanted = select(alerts).where(alerts.c.id.in_(numbers)).order_by(alerts.c.id).with_for_update()
    found = connection.execute(wanted).all()
    if len(found) != len(set(numbers)) or not found:
        raise Refused("there is no such alert", 404)
    return found


def _said_by_form(token: str, alert_id: int) -> Any:
    return exists().where(verdicts.c.token == token, verdicts.c.alert_id == alert_id)


def _is_newest(connection: Connection, own: Any) -> bool:
    later = and_(verdicts.c.alert_id == own.alert_id, verdicts.c.id > own.id, verdicts.c.withdrawn_at.is_(None))
    return not connection.execute(select(exists().where(later))).scalar()


def _settle(connection: Connection, alert: Any, verdict: Verdict | None, state: str) -> None:
    connection.execute(update(alerts).where(alerts.c.id == alert.id).values(verdict=verdict, state=state))


def _close_if_done(connection: Connection, case_id: int, who: str, now: int) -> None:
    waits = exists().where(alerts.c.case_id == case_id, alerts.c.state == "open")
    done = connection.execute(
        update(cases).where(cases.c.id == case_id, cases.c.closed_at.is_(None), ~waits).values(closed_at=now)
    )
    if done.rowcount:
        locks.release(connection, case_id, who)
        record(connection, Event(now, who, "close", case_id, None, {}))


def _label(score: str, is_fraud: bool | None, now: int) -> str:
    """The label of a score, as it goes to the topic: by the transaction's whole ids, however a column has cut them."""
    own = _customer(score)
    time = datetime.fromtimestamp(now / 1000, UTC)
    return msgspec.json.encode(Label(own.transaction_id, own.customer_id, is_fraud, time, _SOURCE)).decode()
