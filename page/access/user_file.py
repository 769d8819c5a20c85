"""The file of named users: each with the hash of a password and a role."""

import os
import re
import tempfile
from pathlib import Path
from typing import Final

import msgspec
import yaml
from filelock import FileLock

from ml.yaml_file import plain
from page.access.passwords import is_hash
from page.access.users import Role

NAME: Final = re.compile(r"[\w.@+-]{1,64}")
"""What a user may be called."""


class Named(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A user of the file. hash: of the password, by argon2."""

    hash: str
    role: Role


Users = dict[str, Named]


def read_users(path: Path) -> Users:
    """The users in a file by name. Raises ValueError or OSError where it is not what `write_users` writes."""
    users = msgspec.convert(plain(path.read_text()) or {}, Users)
    for name, user in users.items():
        if NAME.fullmatch(name) is None:
            raise ValueError(f"{name!r} can't be a user's name: letters, digits and . _ @ + - are possible, 64 at most")
        if not is_hash(user.hash):
            raise ValueError(f"the hash of {name} is none of argon2")
    return users


def change_users(path: Path, name: str, user: Named | None) -> bool:
    """Set a user, or take one out (None); returns whether there was one. The file is for its owner alone.

    A reader finds the users before or after, never half of them. Raises ValueError or OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"):
        users = read_users(path) if path.exists() else {}
        before = users.pop(name, None)
        if user is not None:
            users[name] = user
        _write(path, users)
    return before is not None


def _write(path: Path, users: Users) -> None:
    text = yaml.safe_dump(msgspec.to_builtins(users), sort_keys=True, allow_unicode=True)
    number, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}")  # for its owner alone
    try:
        with os.fdopen(number, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
