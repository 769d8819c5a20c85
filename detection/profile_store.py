"""The tables of profiles in use, kept where their ledger is, and where those that look up map them into memory."""

import tempfile
from collections.abc import Set as AbstractSet
from pathlib import Path

from detection.storage import Storage
from detection.table_files import Name, TableFiles
from ml.features.profile_file import ProfilesUnreadable, read
from ml.features.profiles import Profiles


class ProfileStore:
    """Tables in use; see `detection.table_files`. Their digest is that of their content."""

    def __init__(self, folder: Storage) -> None:
        self._files = TableFiles(folder, ".profiles")
        self._checked: set[Name] = set()

    def keep(self, name: Name, content: bytes) -> None:
        """Keep a table that is about to be used, if it is not kept yet. Raises LookupError where it is another one, which
        then is not kept."""
        if name not in self._checked:
            _table(name, content)
            self._files.keep(name, content)
            self._checked.add(name)

    def check(self, name: Name) -> None:
        """Raises LookupError where a table is not kept, or its file is not what its name says. A file is read once."""
        if name not in self._checked:
            self.table(name)
            self._checked.add(name)

    def table(self, name: Name) -> Profiles:
        """A table that is kept, mapped into memory where the folder is on this machine. Raises as `check` does."""
        local = self.path(name)
        if local is None:
            return _table(name, self.content(name))
        return _read(name, local, mapped=True, checked=name not in self._checked)

    def path(self, name: Name) -> Path | None:
        """Where a table's file is on this machine; None where the folder is elsewhere. Raises LookupError where it is lost."""
        place = self._files.place(name)
        if place is not None and not place.exists():
            raise _lost(name)
        return place

    def content(self, name: Name) -> bytes:
        """A table's file. Raises LookupError where it is lost."""
        content = self._files.read(name)
        if content is None:
            raise _lost(name)
        return content

    @property
    def newest(self) -> Name | None:
        """The highest version that is kept."""
        kept = self._files.names()
        return kept[-1] if kept else None

    def purge(self, named: AbstractSet[str], most: int, newest: int = 1) -> bool:
        """See `TableFiles.purge`; returns whether there is more to delete."""
        deleted, more = self._files.purge(named, most, newest)
        self._checked -= set(deleted)
        return more


def _table(name: Name, content: bytes) -> Profiles:
    """Raises LookupError where the content is not that of this table."""
    with tempfile.NamedTemporaryFile(prefix="scoreline-profiles-") as copy:
        copy.write(content)
        copy.flush()
        return _read(name, Path(copy.name), mapped=False, checked=True)


def _read(name: Name, path: Path, *, mapped: bool, checked: bool) -> Profiles:
    try:
        profiles, digest = read(path, mapped=mapped, checked=checked)
    except ProfilesUnreadable as error:
        raise LookupError(f"the kept table of profiles {name} is damaged: {error}") from error
    if not digest.startswith(name.digest):
        raise LookupError(f"the kept table of profiles {name.version} is not {name.digest}")
    return profiles


def _lost(name: Name) -> LookupError:
    return LookupError(f"what is kept lacks the table of profiles {name}, which the ledger names")
