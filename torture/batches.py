"""Which micro-batch holds a record, and what judged it: from the files of the job's ledger."""

import re
import threading
from collections.abc import Container, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, Self

import msgspec
import numpy as np

from torture.reference import Integers

POLL_SECONDS: Final = 0.5

_RANGES: Final = re.compile(r"ranges(?:-(\d+))?\.(\d+)")


class Entry(msgspec.Struct, frozen=True):
    """What the ledger says of one micro-batch: its model, and its records, start ≤ offset < end by partition."""

    micro_batch: int
    model_version: int
    start: dict[str, int]
    end: dict[str, int]
    threshold_version: int = 0


class Range(msgspec.Struct, frozen=True):
    """Micro-batches that the ledger has merged: what they share, and the records that they hold together."""

    first_micro_batch: int
    last_micro_batch: int
    model_version: int
    start: dict[str, int]
    end: dict[str, int]
    threshold_version: int = 0


def entries_in(ledger: Path, known: Container[int] = ()) -> list[Entry]:
    """The entries that are a file each, in their order, but for the known ones; of those the newest two alone.

    A file that is deleted meanwhile is left out.
    """
    numbers = sorted(int(path.stem) for path in ledger.glob("*.json") if path.stem.isdigit())
    found = []
    for number in [number for number in numbers if number not in known or number in numbers[-2:]]:
        try:
            found.append(msgspec.json.decode((ledger / f"{number}.json").read_bytes(), type=Entry))
        except (FileNotFoundError, msgspec.DecodeError):  # it was deleted, or is just being written
            continue
    return found


def ranges_in(ledger: Path) -> list[Range]:
    """What the ledger has merged: of each file of ranges, `ranges-NUMBER.REVISION`, the highest revision counts."""
    newest: dict[int, tuple[int, Path]] = {}
    for path in ledger.glob("ranges*"):
        if match := _RANGES.fullmatch(path.name):
            number, revision = int(match[1] or 0), int(match[2])
            newest[number] = max(newest.get(number, (-1, path)), (revision, path))
    files = [path for _, (_, path) in sorted(newest.items())]
    return [merged for path in files for merged in msgspec.json.decode(path.read_bytes(), type=list[Range])]


def restored(ranges: Iterable[Range], partition: Integers, offset: Integers, micro_batch: Integers) -> list[Entry]:
    """The entries that ranges were merged from, as far as scores show: (n,) the place and the micro-batch of each.

    What lies between the last score of a micro-batch and the first of the next is counted to the later one. Those are dead
    letters, which are not folded, so that no judgement depends on it.
    """
    out = []
    for merged in ranges:
        end = dict(merged.start)
        for number in range(merged.first_micro_batch, merged.last_micro_batch + 1):
            start, mine = dict(end), micro_batch == number
            for name in merged.end:
                found = offset[mine & (partition == int(name))]
                end[name] = max(end.get(name, 0), int(found.max()) + 1 if len(found) else 0)
            if number == merged.last_micro_batch:
                end = dict(merged.end)
            out.append(Entry(number, merged.model_version, start, dict(end), merged.threshold_version))
    return out


def assigned(partition: Integers, offset: Integers, entries: Sequence[Entry]) -> Integers:
    """(n,) the micro-batch of each record; -1 where no entry holds it.

    >>> one, two = Entry(0, 7, {"0": 0}, {"0": 10}), Entry(1, 7, {"0": 10}, {"0": 15})
    >>> assigned(np.array([0, 0, 0, 1]), np.array([9, 10, 15, 3]), [one, two]).tolist()
    [0, 1, -1, -1]
    """
    out = np.full(len(offset), -1, np.int64)
    for number in np.unique(partition).tolist():
        name = str(number)
        mine = [entry for entry in entries if name in entry.end]
        if not mine:
            continue
        ends = np.array([entry.end[name] for entry in mine], np.int64)
        starts = np.array([entry.start.get(name, 0) for entry in mine], np.int64)
        batches = np.array([entry.micro_batch for entry in mine], np.int64)
        rows = np.flatnonzero(partition == number)
        at = np.searchsorted(ends, offset[rows], "right")
        within = at < len(ends)
        at = np.minimum(at, len(ends) - 1)
        out[rows] = np.where(within & (starts[at] <= offset[rows]), batches[at], -1)
    return out


def versions_of(micro_batches: Integers, entries: Iterable[Entry]) -> Integers:
    """(n,) the version of the model that judges each record, by its micro-batch; -1 where there is no entry."""
    known: Mapping[int, int] = {entry.micro_batch: entry.model_version for entry in entries}
    different, places = np.unique(micro_batches, return_inverse=True)
    return np.array([known.get(number, -1) for number in different.tolist()], np.int64)[places]


class LedgerWatch:
    """Copies a running job's entries as they appear, before they are merged; notes the ones that were changed later."""

    def __init__(self, ledger: Path) -> None:
        self._ledger = ledger
        self._entries: dict[int, Entry] = {}
        self.changed: set[int] = set()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True, name="ledger")

    @property
    def entries(self) -> list[Entry]:
        """All that were seen, in their order."""
        return [self._entries[number] for number in sorted(self._entries)]

    def look(self) -> None:
        """Take in what is there now."""
        if not self._ledger.exists():
            return
        for entry in entries_in(self._ledger, self._entries):
            if self._entries.setdefault(entry.micro_batch, entry) != entry:
                self.changed.add(entry.micro_batch)

    def _watch(self) -> None:
        while not self._end.wait(POLL_SECONDS):
            self.look()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()
        self.look()
