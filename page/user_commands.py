"""`scoreline page users`: who may sign in with a password."""

import getpass
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ml.console import show_table
from page.access.passwords import hashed
from page.access.user_file import NAME, Named, change_users, read_users
from page.access.users import Role
from settings import Settings

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Who may sign in to the page with a password: the file that --page-users names.",
)

Where = Annotated[Path | None, typer.Option("--page-users", help="The file; else the setting's.", show_default=False)]


class RoleChoice(StrEnum):
    """Each may do what those before it may."""

    look = "look"
    decide = "decide"
    administer = "administer"


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="Letters, digits and . _ @ + -, 64 at most.")],
    role: Annotated[RoleChoice, typer.Option(help="What the user may do.")] = RoleChoice.decide,
    page_users: Where = None,
) -> None:
    """Add a user, or give one another role and password. The password is asked for, or read from standard input."""
    with _errors():
        if NAME.fullmatch(name) is None:
            raise ValueError("a user's name has letters, digits and . _ @ + -, 64 at most")
        word: Role = role.value
        path = _path(page_users)
        was_there = change_users(path, name, Named(hashed(_password()), word))
    print(f"{name} {'has another password now' if was_there else 'is added'}, with the role {role.value}, in {path}.")


@app.command()
def remove(name: str, page_users: Where = None) -> None:
    """Take a user out; sessions of theirs end at once."""
    with _errors():
        path = _path(page_users)
        if not change_users(path, name, None):
            raise ValueError(f"there is no user {name} in {path}")
    print(f"{name} is removed from {path}.")


@app.command(name="list")
def list_users(page_users: Where = None) -> None:
    """List the users and their roles."""
    with _errors():
        users = read_users(_path(page_users))
    show_table(Console(), ["name", "role"], [[name, user.role] for name, user in sorted(users.items())], "")


def _path(given: Path | None) -> Path:
    path = given or Settings.from_command_line([]).page_users
    if path is None:
        raise ValueError("no file is named: set SCORELINE_PAGE_USERS, or give --page-users FILE")
    return path


def _password() -> str:
    """Typed twice at a terminal; else a line of standard input. Never an argument, which other users of a machine can see."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    password = getpass.getpass("Password: ")
    if getpass.getpass("The same again: ") != password:
        raise ValueError("the two are not the same")
    return password


@contextmanager
def _errors() -> Iterator[None]:
    """What a person can fix is one line, and exit status 1."""
    try:
        yield
    except (OSError, ValueError) as error:
        print("error:", " ".join(str(error).split()), file=sys.stderr)
        raise typer.Exit(1) from None
