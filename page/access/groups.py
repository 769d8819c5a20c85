"""From the groups that a proxy or a provider names to a role."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from ml.yaml_file import plain
from page.access.users import ROLES, Role

EVERYBODY: Final = "*"
"""Stands for whoever the proxy or the provider has let in, whatever their groups."""

Groups = dict[Role, list[str]]


def read_groups(path: Path) -> Groups:
    """Of each role the groups that have it. Raises ValueError or OSError."""
    found = msgspec.convert(plain(path.read_text()), Groups)
    if not any(found.values()):
        raise ValueError("it names no group, so nobody could sign in")
    return found


def role_of(groups: Iterable[str], mapping: Groups) -> Role | None:
    """The highest role that one of the groups has; None where none has any.

    >>> mapping = {"look": ["*"], "decide": ["analysts"]}
    >>> role_of(["analysts", "staff"], mapping), role_of([], mapping), role_of(["staff"], {"decide": ["analysts"]})
    ('decide', 'look', None)
    """
    own = {EVERYBODY, *groups}
    return next((role for role in reversed(ROLES) if own & set(mapping.get(role, ()))), None)
