"""Pages with a sign-in, and what a browser does to sign in."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from httpx import Client, Response

from page.access.passwords import hashed
from page.access.user_file import Named, change_users
from page.access.users import Role
from page.parts import Parts
from page.store.database import Database, open_database
from settings import Settings
from tests.page.running import running

PASSWORD = "correct horse battery"


@cache
def hash_of(password: str) -> str:
    """Made once: it takes a while, as it should."""
    return hashed(password)


def write_users(path: Path, **roles: Role) -> Path:
    """A file of users, each with `PASSWORD`."""
    for name, role in roles.items():
        change_users(path, name, Named(hash_of(PASSWORD), role))
    return path


class Page(NamedTuple):
    """A page that runs."""

    address: str
    database: Database
    settings: Settings

    def client(self, **more: Any) -> Client:
        """A browser that has been nowhere."""
        return Client(base_url=self.address, **more)


@contextmanager
def page_with(folder: Path, **settings: Any) -> Iterator[Page]:
    """A page without feeds, with its store in a folder."""
    given = Settings(page_data=folder / "page", log_dir=folder, **settings)
    database = open_database(f"sqlite:///{folder / 'page' / 'cases.db'}")
    parts = Parts.of(given, database)
    parts.workers.clear()
    with running(parts) as address:
        yield Page(address, database, given)


def token_in(answer: Response) -> str:
    """The token of the first form of a page."""
    found = re.search(r'name="form_token" value="([0-9a-f]{64})"', answer.text)
    assert found, answer.text
    return found[1]


def sign_in(client: Client, name: str, password: str = PASSWORD, after: str = "/") -> Response:
    """What the form sends."""
    form = {"name": name, "password": password, "after": after, "form_token": token_in(client.get("/sign-in"))}
    return client.post("/sign-in", data=form)


def what_was_done(database: Database) -> list[tuple[str, str]]:
    """(who, what) of the page's history, the oldest first."""
    from page.store.history import events

    with database.read() as connection:
        return [(event.who, event.what) for _, event in events(connection)][::-1]
