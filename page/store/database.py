"""Opens the case store, SQLite or PostgreSQL, and brings its tables up to date."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from filelock import FileLock, Timeout
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from page.errors import PageError

_MIGRATIONS: Final = Path(__file__).parent / "migrations"
_BUSY_SECONDS: Final = 30
_IMPATIENT_MS: Final = 200
_MIGRATING: Final = 7_620_417
"""The number of PostgreSQL's advisory lock under which one process at a time migrates."""


class Database:
    """The case store's connections. Every change is made within `begin()`, whole or not at all."""

    def __init__(self, engine: Engine, lock: FileLock | None = None) -> None:
        self.engine = engine
        self._lock = lock

    @contextmanager
    def begin(self, patient: bool = True) -> Iterator[Connection]:
        """A transaction that writes; SQLite has one at a time, and the others wait: not patient, hardly at all."""
        with self.engine.connect().execution_options(patient=patient) as connection, connection.begin():
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads, and waits for nobody."""
        with self.engine.connect().execution_options(reads=True) as connection:
            yield connection

    @contextmanager
    def alone(self, number: int) -> Iterator[Callable[[], bool]]:
        """Asks whether no other process on this store is within a block of this number; while it is so, none comes in.

        To be asked before each thing that one process alone may do: it raises `DBAPIError` where the server that knew of it was
        restarted, since then another process may have come in.
        """
        if self._lock is not None:
            yield lambda: True
            return
        with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            try:
                first = bool(connection.scalar(text("select pg_try_advisory_lock(:number)"), {"number": number}))
                yield lambda: first and connection.scalar(text("select true")) is True
            finally:
                connection.invalidate()  # the lock is the session's, and ends with it: not in the pool, however this ends

    def close(self) -> None:
        """Close all connections, and let another process have the store."""
        self.engine.dispose()
        if self._lock is not None:
            self._lock.release()


def open_database(address: str) -> Database:
    """The store at an address: sqlite:///path or postgresql://user:password@host/name. Raises `PageError`, without the address,
    which may have a password in it."""
    url = _url(address)
    lock = None
    if url.get_backend_name() == "sqlite":
        lock = _held(Path(str(url.database)))
        engine = create_engine(url, connect_args={"timeout": _BUSY_SECONDS, "check_same_thread": False})
        event.listen(engine, "connect", _connected)
        event.listen(engine, "begin", _begun)
    else:
        engine = create_engine(url, pool_pre_ping=True, connect_args={"connect_timeout": 10})
    try:
        with engine.begin() as connection:
            _migrate(connection)
    except (DBAPIError, CommandError, OSError) as error:
        engine.dispose()
        if lock is not None:
            lock.release()
        why = str(getattr(error, "orig", error)).splitlines()[0]
        raise PageError(f"the case store ({url.render_as_string(hide_password=True)}) can't be opened: {why}") from None
    return Database(engine, lock)


def _url(address: str) -> URL:
    try:
        url = make_url(address)
    except ArgumentError:
        raise PageError("PAGE_DATABASE has to be sqlite:///path or postgresql://user:password@host/name") from None
    if url.get_backend_name() == "postgresql":
        return url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() == "sqlite" and url.database not in (None, "", ":memory:"):
        return url
    raise PageError("PAGE_DATABASE has to be sqlite:///path or postgresql://user:password@host/name")


def _held(path: Path) -> FileLock:
    """Held by the one page that uses an SQLite file: two would send each verdict twice."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(f"{path}.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise PageError(f"another page uses the case store {path}: stop it, or name another --page-data") from None
    return lock


def _connected(connection: Any, _: object) -> None:
    connection.isolation_level = None  # we begin transactions ourselves: Python's driver would begin them too late
    for statement in ("journal_mode = wal", "synchronous = full", "foreign_keys = on"):
        connection.execute(f"pragma {statement}")


def _begun(connection: Connection) -> None:
    """A writer takes the write lock at once, so that it never finds that what it has read is stale."""
    options = connection.get_execution_options()
    milliseconds = _BUSY_SECONDS * 1_000 if options.get("patient", True) else _IMPATIENT_MS
    connection.exec_driver_sql(f"pragma busy_timeout = {milliseconds}").close()
    connection.exec_driver_sql("begin" if options.get("reads", False) else "begin immediate")


def _migrate(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("select pg_advisory_xact_lock(:number)"), {"number": _MIGRATING})
    script = ScriptDirectory(str(_MIGRATIONS))

    def steps(revision: Any, _: Any) -> Any:
        return script._upgrade_revs("head", revision)

    with EnvironmentContext(Config(), script, fn=steps) as environment:
        environment.configure(connection=connection, transactional_ddl=True)
        environment.run_migrations()
