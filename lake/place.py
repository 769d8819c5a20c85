"""Where the lake is: its folder, its tables' addresses, and the lock that one writer at a time holds."""

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import unquote, urlparse

from filelock import FileLock

_LOCK: Final = ".lock"


class Place(NamedTuple):
    """A lake's folder: a path, or a URI that Hadoop knows (file, hdfs, s3a)."""

    uri: str

    @property
    def local(self) -> Path | None:
        """The folder on this machine; None where it is elsewhere."""
        found = urlparse(self.uri)
        if found.scheme not in ("", "file"):
            return None
        return Path(unquote(found.path) if found.scheme else self.uri).absolute()

    def table(self, name: str) -> str:
        """The address of a table.

        >>> Place("s3a://bank/lake").table("scores")
        's3a://bank/lake/scores'
        """
        return f"{self.uri.rstrip('/')}/{name}" if self.local is None else str(self.local / name)

    def writing(self) -> AbstractContextManager[object]:
        """Held by whoever writes to the lake: on a local disk nothing else keeps two writers from taking the same version."""
        if self.local is None:
            return nullcontext()
        self.local.mkdir(parents=True, exist_ok=True)
        return FileLock(self.local / _LOCK)
