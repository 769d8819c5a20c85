"""The tables of thresholds in use, kept where their ledger is."""

import hashlib
from collections import OrderedDict
from collections.abc import Set as AbstractSet
from typing import Final

import msgspec

from detection.storage import Storage
from detection.table_files import Name, TableFiles
from ml.schema import DIGEST_DIGITS
from ml.thresholds.table import Table

_LOADED: Final = 16


class ThresholdStore:
    """Tables in use; see `detection.table_files`."""

    def __init__(self, folder: Storage) -> None:
        self._files = TableFiles(folder, ".json")
        self._loaded: OrderedDict[Name, Table] = OrderedDict()

    def table(self, version: int, digest: str) -> Table:
        """A table that is kept. Raises LookupError where it is not, or where its file is not what its name says."""
        name = Name(version, digest)
        if name not in self._loaded:
            content = self._files.read(name)
            if content is None:
                raise LookupError(
                    f"what is kept lacks the table of thresholds {version} ({digest}), which the ledger names"
                )
            if _digest(content) != digest:
                raise LookupError(f"the kept table of thresholds {version} is not {digest}: it is damaged")
            self._loaded[name] = _read(content, version)
            if len(self._loaded) > _LOADED:
                self._loaded.popitem(last=False)
        return self._loaded[name]

    def keep(self, table: Table) -> str:
        """Keep a table that is about to be used, if it is not kept yet; returns its digest."""
        content = msgspec.json.encode(table)
        name = Name(table.version, _digest(content))
        if name not in self._loaded:
            self._files.keep(name, content)
            self.table(*name)
        return name.digest

    @property
    def newest(self) -> Table | None:
        """The highest version that is kept."""
        kept = self._files.names()
        return self.table(*kept[-1]) if kept else None

    def purge(self, named: AbstractSet[str], most: int) -> bool:
        """See `TableFiles.purge`."""
        deleted, more = self._files.purge(named, most)
        for name in deleted:
            self._loaded.pop(name, None)  # else `keep` would believe that it is there
        return more


def _read(content: bytes, version: int) -> Table:
    try:
        table = msgspec.json.decode(content, type=Table)
    except ValueError as error:  # text that is not UTF-8 too
        raise LookupError(f"the kept file of the table of thresholds {version} holds no table: {error}") from error
    if table.version != version:
        raise LookupError(
            f"the kept file of the table of thresholds {version} holds table {table.version}: it was renamed"
        )
    return table


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:DIGEST_DIGITS]
