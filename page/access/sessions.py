"""Sessions on the server: a cookie holds a random token, the store its hash, so that a session ends when the server says so."""

import hashlib
import logging
import secrets
from typing import Final, Literal, NamedTuple

from sqlalchemy import ColumnElement, delete, insert, or_, select, update
from sqlalchemy.exc import DBAPIError

from page.access.users import Role
from page.store.database import Database
from page.store.tables import sessions

_log = logging.getLogger(__name__)

Way = Literal["password", "provider"]

_MOST_OF_A_USER: Final = 20
"""Sessions of one user at once; the oldest ends where there would be more."""
_NOTE_MS: Final = 30_000
"""How far the time at which a session was last used may be behind, so that not each request writes."""
_TOKEN_CHARACTERS: Final = 43


class Session(NamedTuple):
    """A session that lasts. stamp: of the password that it was begun with. Times: ms since the epoch."""

    name: str
    role: Role
    way: Way
    stamp: str
    seen_at: int
    ends_at: int


class Sessions:
    """Begins, finds and ends sessions. idle_ms: ends one that was not used for so long; most_ms: any after so long."""

    def __init__(self, database: Database, idle_ms: int, most_ms: int) -> None:
        self._database, self._idle_ms, self._most_ms = database, idle_ms, most_ms

    def begin(self, name: str, role: Role, way: Way, stamp: str, now: int) -> str:
        """A new session's token, which the client did not choose; what has expired is forgotten."""
        token = secrets.token_urlsafe(32)
        row = {"token_hash": _hash(token), "name": name, "role": role, "way": way, "stamp": stamp}
        times = {"made_at": now, "seen_at": now, "ends_at": now + self._most_ms}
        with self._database.begin() as connection:
            expired = or_(sessions.c.ends_at <= now, sessions.c.seen_at <= now - self._idle_ms)
            connection.execute(delete(sessions).where(expired))
            connection.execute(insert(sessions).values(row | times))
            own = select(sessions.c.token_hash).where(sessions.c.name == name)
            old = own.order_by(sessions.c.made_at.desc()).offset(_MOST_OF_A_USER).limit(1_000)
            too_many = [found.token_hash for found in connection.execute(old)]
            connection.execute(delete(sessions).where(sessions.c.token_hash.in_(too_many)))
        return token

    def find(self, token: str, now: int, active: bool) -> Session | None:
        """The session of a token, where it lasts. active: a person does something, so it is not idle."""
        if len(token) != _TOKEN_CHARACTERS:
            return None
        mine = sessions.c.token_hash == _hash(token)
        with self._database.read() as connection:
            found = connection.execute(select(sessions).where(mine)).first()
        if found is None or found.ends_at <= now or found.seen_at <= now - self._idle_ms:
            return None
        if active and found.seen_at < now - min(_NOTE_MS, self._idle_ms // 4):
            self._note(mine, now)
        return Session(found.name, found.role, found.way, found.stamp, found.seen_at, found.ends_at)

    def _note(self, mine: ColumnElement[bool], now: int) -> None:
        """Who reads goes on reading where the store can't be written now: a full disk, or somebody else's lock."""
        try:
            with self._database.begin(patient=False) as connection:
                connection.execute(update(sessions).where(mine).values(seen_at=now))
        except DBAPIError as error:
            _log.warning("when a session was last used could not be noted: %s", " ".join(str(error.orig).split())[:200])

    def end(self, token: str) -> None:
        """The token is no session any more, whoever still has it."""
        with self._database.begin() as connection:
            connection.execute(delete(sessions).where(sessions.c.token_hash == _hash(token)))


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
