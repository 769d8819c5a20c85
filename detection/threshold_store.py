"""The tables of thresholds in use, kept beside the checkpoint."""

import hashlib
import re
from collections import OrderedDict
from collections.abc import Set as AbstractSet
from typing import Final

import msgspec

from detection.storage import Storage
from ml.schema import DIGEST_DIGITS
from ml.thresholds.table import Table

_KEPT: Final = re.compile(f"[1-9][0-9]*-[0-9a-f]{{{DIGEST_DIGITS}}}[.]json")
_LOADED: Final = 16


class ThresholdStore:
    """Tables in use, kept beside the checkpoint, so that neither a restart nor a replay depends on the topic.

    Each is a file named by its version and by what it is: a topic that was made again gives the same versions again.
    """

    def __init__(self, folder: Storage) -> None:
        self._folder = folder
        self._loaded: OrderedDict[str, Table] = OrderedDict()

    def table(self, version: int, digest: str) -> Table:
        """A table that is kept. Raises LookupError where it is not, or where its file is not what its name says."""
        name = f"{version}-{digest}.json"
        if name not in self._loaded:
            content = self._folder.read(name)
            if content is None:
                raise LookupError(
                    f"the checkpoint lacks the table of thresholds {version} ({digest}) that its ledger names"
                )
            if _digest(content) != digest:
                raise LookupError(
                    f"the table of thresholds {version} beside the checkpoint is not {digest}: it is damaged"
                )
            self._loaded[name] = _read(content, version)
            if len(self._loaded) > _LOADED:
                self._loaded.popitem(last=False)
        return self._loaded[name]

    def keep(self, table: Table) -> str:
        """Keep a table that is about to be used, if it is not kept yet; returns its digest."""
        content = msgspec.json.encode(table)
        digest = _digest(content)
        name = f"{table.version}-{digest}.json"
        if name not in self._loaded:
            if self._folder.read(name) != content:
                self._folder.delete(name)
                self._folder.write(name, content)
            self.table(table.version, digest)
        return digest

    @property
    def newest(self) -> Table | None:
        """The highest version that is kept."""
        kept = [name.removesuffix(".json").split("-") for name in self._folder.names() if _KEPT.fullmatch(name)]
        newest = max(((int(version), digest) for version, digest in kept), default=None)
        return None if newest is None else self.table(*newest)

    def purge(self, named: AbstractSet[str], most: int) -> bool:
        """Delete at most so many tables that are not named, as VERSION-DIGEST; returns whether more are left.

        The newest stays."""
        names = [name for name in self._folder.names() if _KEPT.fullmatch(name)]
        newest = max(names, key=lambda name: int(name.split("-")[0]), default=None)
        unnamed = [name for name in names if name != newest and name.removesuffix(".json") not in named]
        for name in unnamed[:most]:
            self._folder.delete(name)
            self._loaded.pop(name, None)  # else `keep` would believe that it is there
        return len(unnamed) > most


def _read(content: bytes, version: int) -> Table:
    try:
        table = msgspec.json.decode(content, type=Table)
    except ValueError as error:  # text that is not UTF-8 too
        raise LookupError(
            f"the file of the table of thresholds {version} beside the checkpoint holds no table: {error}"
        ) from error
    if table.version != version:
        raise LookupError(
            f"the file of the table of thresholds {version} beside the checkpoint holds table {table.version}: it was renamed"
        )
    return table


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:DIGEST_DIGITS]
