"""The case store: of an earlier and a later release, and a history that nothing changes."""

from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine, select, text
from sqlalchemy.exc import DBAPIError

from page.errors import PageError
from page.store.database import Database, open_database
from page.store.history import Event, record
from page.store.tables import history, sessions
from tests.page.scores import encoded, score
from tests.page.test_queue import put

LINE = "into history (id, at, who, what, detail) values (1, 0, 'eve', 'verdict', '{}')"
CHANGES = (
    "update history set who = 'eve'",
    "delete from history",
    f"insert or replace {LINE}",
    f"insert {LINE} on conflict (id) do update set who = 'eve'",
    "truncate history",
)


def test_no_statement_changes_a_line_of_the_history(database: Database) -> None:
    for number in range(3):
        with database.begin() as connection:
            record(connection, Event(number, "ana", "verdict", 1, 1, {}))
    for change in CHANGES:
        with pytest.raises(DBAPIError), database.begin() as connection:
            connection.execute(text(change))
    with database.read() as connection:
        assert list(connection.execute(select(history.c.who)).scalars()) == ["ana"] * 3


def test_a_store_of_the_first_release_is_brought_up_to_date_with_what_it_holds(tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path / 'cases.db'}"
    with closing(open_database(address)) as database:
        put(database, encoded(score(1)))
        with database.begin() as connection:
            for statement in (
                "drop trigger history_no_replacement",
                "drop table sessions",
                "update alembic_version set version_num = '0001'",
            ):
                connection.execute(text(statement))
    with closing(open_database(address)) as database:
        assert put(database, encoded(score(1), score(2))) == 1
        with database.read() as connection:
            assert connection.execute(select(sessions)).all() == []


def test_a_store_of_a_later_release_is_refused_in_words_and_left_as_it_is(store_address: str) -> None:
    open_database(store_address).close()
    engine = create_engine(store_address.replace("postgresql:", "postgresql+psycopg:"))
    with closing(engine.connect()) as connection:
        connection.execute(text("update alembic_version set version_num = '9999'"))
        connection.commit()
    with pytest.raises(PageError, match=r"can't be opened.*9999"):
        open_database(store_address)
    with closing(engine.connect()) as connection:
        assert connection.scalar(text("select version_num from alembic_version")) == "9999"
    engine.dispose()
