"""Which analyst works on which case: a lock that ends by itself."""

from collections.abc import Sequence

from sqlalchemy import Connection, and_, delete, insert, or_, select, update

from page.errors import Refused
from page.store.history import Event, record
from page.store.tables import locks


def take(connection: Connection, case_id: int, who: str, now: int, minutes: float) -> None:
    """Lock a case, or keep its lock for longer. Raises `Refused` while somebody else has it."""
    until = now + round(minutes * 60_000)
    mine = or_(locks.c.until <= now, locks.c.held_by == who)
    before = connection.execute(select(locks).where(locks.c.case_id == case_id)).first()
    if before is None:
        connection.execute(insert(locks).values(case_id=case_id, held_by=who, until=until))
    else:
        done = connection.execute(
            update(locks).where(locks.c.case_id == case_id, mine).values(held_by=who, until=until)
        )
        if done.rowcount == 0:
            raise Refused(f"{before.held_by} works on this case")
    if before is None or before.held_by != who or before.until <= now:
        record(connection, Event(now, who, "lock", case_id, None, {"until": until}))


def holder(connection: Connection, case_id: int, now: int) -> tuple[str, int] | None:
    """(who works on a case, until when); None where nobody does."""
    found = connection.execute(select(locks).where(locks.c.case_id == case_id, locks.c.until > now)).first()
    return None if found is None else (found.held_by, found.until)


def check_free(connection: Connection, case_id: int, who: str, now: int) -> None:
    """Raises `Refused` while somebody else works on the case."""
    held = holder(connection, case_id, now)
    if held is not None and held[0] != who:
        raise Refused(f"{held[0]} works on this case")


def of_others(connection: Connection, case_ids: Sequence[int], who: str, now: int) -> dict[int, str]:
    """Of some cases those that somebody else works on, and who."""
    held = and_(locks.c.case_id.in_(case_ids), locks.c.until > now, locks.c.held_by != who)
    return {row.case_id: row.held_by for row in connection.execute(select(locks).where(held).order_by(locks.c.case_id))}


def release(connection: Connection, case_id: int, who: str) -> None:
    """Give a lock back; somebody else's stays."""
    connection.execute(delete(locks).where(locks.c.case_id == case_id, locks.c.held_by == who))
