"""Syncs to the local disk what Spark writes of a query: Spark itself does not, so a loss of power could lose it.

On any other file system there is nothing to do: there a file that is closed is safe, or as safe as that system promises.
"""

import os
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

_AT_ONCE = 8  # eight files one after the other take 20 ms, all at once 5: the disk's journal takes them together

_REMEMBERED = 20_000


class SparkFiles:
    """The files of one query's streaming checkpoint, whose folder on a local disk this is; None where it is elsewhere.

    `plan` before a micro-batch sends anything and `state` before it is done: then what was sent has its plan on the disk,
    and a commit that is on the disk has its state there, so that after a loss of power the query goes on from there.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._settled: set[str] = set()
        self._pool = ThreadPoolExecutor(_AT_ONCE, "settling")

    def plan(self, micro_batch: int) -> "list[Future[None]]":
        """Begin with the offsets of a micro-batch that is planned, and the commit before it; `wait` for the result."""
        if self._folder is None:
            return []
        names = [
            f"offsets/{micro_batch}",
            "offsets",
            *([f"commits/{micro_batch - 1}", "commits"] if micro_batch else []),
        ]
        if micro_batch == 0:
            names += ["metadata", "sources/0/0", "sources/0", "sources", "."]
        return self._begin([str(self._folder / name) for name in names])

    def state(self) -> None:
        """All that is new of the state, also what an earlier process may not have synced."""
        if self._folder is None:
            return
        files: list[str] = []
        folders: list[str] = []
        for folder, _, names in os.walk(self._folder / "state"):
            new = [
                path for name in names if (path := f"{folder}/{name}") not in self._settled and not _unfinished(name)
            ]
            files += new
            folders += [folder] if new else []
        wait(self._begin(files))
        wait(self._begin(folders))
        self._settled.update(files)
        if len(self._settled) > _REMEMBERED:
            self._settled = {path for path in self._settled if Path(path).exists()}

    def _begin(self, paths: Iterable[str]) -> "list[Future[None]]":
        return [self._pool.submit(_sync, path) for path in paths]


def wait(begun: "Iterable[Future[None]]") -> None:
    """Until all of it is on the disk. Raises OSError where the disk fails."""
    for each in begun:
        each.result()


def _unfinished(name: str) -> bool:
    return name.endswith(".tmp")


def _sync(path: str) -> None:
    with suppress(FileNotFoundError):  # Spark deletes what it no longer needs
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
