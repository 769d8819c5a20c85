"""Where the lake is: its folder, its tables' addresses, and the lock that one writer at a time holds."""

import re
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import unquote, urlparse

from filelock import FileLock

_LOCK: Final = ".lock"
_NO_ADDRESS: Final = re.compile(r"[\[\]^|\\\x00-\x1f\x7f]|%[0-9A-Fa-f]{2}")


class LakeUnusable(ValueError):
    """A lake's folder or its tables can't be used; the text says which, and why."""


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
        """The address of a table. Raises LakeUnusable where delta-rs, which keeps the tables small, can't address it.

        >>> Place("s3a://bank/lake").table("scores")
        's3a://bank/lake/scores'
        """
        if self.local is None:
            return f"{self.uri.rstrip('/')}/{name}"
        wrong = _NO_ADDRESS.search(str(self.local))
        if wrong:
            raise LakeUnusable(
                f"the path of a lake can't have [ ] ^ | \\, control characters, or % and two digits, but {str(self.local)!r} "
                f"has {wrong[0]!r}: name another folder, or a link to this one"
            )
        return str(self.local / name)

    def writing(self) -> AbstractContextManager[object]:
        """Held by whoever writes to the lake: on a local disk nothing else keeps two writers from taking the same version."""
        if self.local is None:
            return nullcontext()
        self.local.mkdir(parents=True, exist_ok=True)
        return FileLock(self.local / _LOCK)
