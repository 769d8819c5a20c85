"""Several pages and analysts on one PostgreSQL: what one alone may have or do, one alone has or does."""

import threading
import time
from typing import Any

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from page.store import locks
from page.store.database import Database, open_database
from tests.page.scores import encoded, score
from tests.page.test_queue import NOW, put
from tests.support.postgres import Postgres


def test_a_case_that_two_take_at_the_same_moment_is_one_analysts(server: Postgres) -> None:
    database = _postgres(server)
    put(database, encoded(score(1)))
    answers: list[str] = []

    def take() -> None:
        try:
            with database.begin() as connection:
                locks.take(connection, 1, "ben", NOW, 10)
        except Exception as error:  # noqa: BLE001  # what the test asks for
            answers.append(type(error).__name__)

    with database.begin() as connection:
        locks.take(connection, 1, "ana", NOW, 10)
        other = threading.Thread(target=take)
        other.start()
        with database.read() as watching:
            _until(lambda: watching.scalar(text("select count(*) from pg_locks where not granted")))
    other.join(30)
    assert answers == ["Refused"]
    database.close()


def test_what_one_page_alone_may_do_no_page_does_that_has_lost_its_connection(server: Postgres) -> None:
    one, other = _postgres(server), open_database(server.address)
    with one.alone(5) as alone, other.alone(5) as not_alone:
        assert alone()
        assert not not_alone()
        with other.begin() as connection:  # as at a restart of the server
            connection.execute(
                text(
                    "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() and pid in "
                    "(select pid from pg_locks where locktype = 'advisory' and granted)"
                )
            )
        _until(lambda: _comes_in(other))
        with pytest.raises(DBAPIError):
            alone()
    one.close()
    other.close()


def test_a_sender_that_failed_leaves_no_lock_behind_that_keeps_all_from_sending(server: Postgres) -> None:
    database = _postgres(server)
    with database.read(), database.read():  # as the page's other threads, whose connections go back to the same pool
        pass
    for _ in range(3):
        with pytest.raises(ConnectionError):
            _fail(database)
    with database.read() as connection:  # the server may need a moment to see that a connection has ended
        _until(lambda: connection.scalar(text("select count(*) from pg_locks where locktype = 'advisory'")) == 0)
    database.close()


def _comes_in(database: Database) -> bool:
    with database.alone(5) as alone:
        return alone()


def _fail(database: Database) -> None:
    with database.alone(6) as alone:
        assert alone()
        raise ConnectionError("Kafka is unavailable")


def _postgres(server: Postgres) -> Database:
    """An empty store."""
    with psycopg.connect(server.address, autocommit=True) as connection:
        connection.execute("drop schema public cascade")
        connection.execute("create schema public")
    return open_database(server.address)


def _until(what: Any, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)
