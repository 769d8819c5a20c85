"""Stores of both kinds, empty for each test, and a page over each without a broker."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from httpx import Client

from page.access.forms import HEADER, form_token
from page.access.secret import secret_key
from page.parts import Parts
from page.store.database import Database, open_database
from settings import Settings
from tests.page.running import running
from tests.support.postgres import Postgres, postgres


@pytest.fixture(scope="session")
def server() -> Iterator[Postgres]:
    with postgres() as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def store_address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty store."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'cases.db'}"
    running: Postgres = request.getfixturevalue("server")
    with psycopg.connect(running.address, autocommit=True) as connection:
        connection.execute("drop schema public cascade")
        connection.execute("create schema public")
    return running.address


@pytest.fixture
def database(store_address: str) -> Iterator[Database]:
    with closing(open_database(store_address)) as store:
        yield store


@pytest.fixture
def browser(database: Database, tmp_path: Path) -> Iterator[Client]:
    """A browser on a page whose feeds are not started."""
    parts = Parts.of(Settings(log_dir=tmp_path, page_data=tmp_path), database)
    parts.workers.clear()
    token = form_token(secret_key(tmp_path), "this machine")
    with running(parts) as address, Client(base_url=address, timeout=60, headers={HEADER: token}) as client:
        yield client
