"""The ledger: what each micro-batch of detect judges by, and its offsets, recorded before its first record is written."""

import re
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

import msgspec

from detection.errors import CheckpointIncomplete
from detection.ranges import Challenger, Entry, Offsets, Range, Versions, judged_before, merged
from detection.storage import Storage, decoded, is_number

__all__ = ["Challenger", "Entry", "Ledger", "Offsets", "Range", "Versions", "merged"]

_SINGLE: Final = 100
"""How many micro-batches, at least, have a file each."""

_AT_ONCE: Final = 50
"""How many of them are merged at once, when there are more."""

_CHUNK: Final = 1_000
"""After how many ranges a new file is begun: what a merge writes does not grow with all that was ever recorded."""

KEPT_RANGES: Final = 100_000

_NAME: Final = re.compile(r"ranges-(\d+)\.(\d+)")
_OVERTAKEN: Final = "overtaken"

_entry: Final = msgspec.json.Decoder(Entry).decode
_ranges: Final = msgspec.json.Decoder(list[Range]).decode


class Named(NamedTuple):
    """The tables that a ledger names, of thresholds and of profiles, each as VERSION-DIGEST."""

    thresholds: frozenset[str]
    profiles: frozenset[str]


class Ledger:
    """Entries by micro-batch, durable. An entry is written once: a retry or a restart finds it and judges by it again.

    The newest entries are a file each. Older ones are merged into ranges of what shares its versions, and these are in
    files of some 1,000, `ranges-NUMBER.REVISION`, of which the highest revision counts. At least the newest `kept` ranges
    stay; files of older ones are deleted. Interrupted at any step, it still reads right; the next merge finishes the work.
    """

    def __init__(self, folder: Storage, kept: int = KEPT_RANGES) -> None:
        self._folder = folder
        self._kept = kept
        self._recent: dict[int, Entry] = {}
        self._overtaken = self._read(_OVERTAKEN)
        self._named: dict[str, Named] = {}
        self.dropped = True
        """Whether ranges were deleted, or may have been before this start, so that tables may be no longer named."""
        chunks = self._chunks()
        newest = self._chunk(last := max(chunks), chunks[last][-1]) if chunks else []
        self._merged_up_to = newest[-1].last_micro_batch if newest else -1

    def entry(self, micro_batch: int) -> Entry | None:
        """What is recorded for a micro-batch; None where nothing is, so that it may still choose."""
        content = self._folder.read(name := f"{micro_batch}.json")
        return None if content is None else decoded(content, f"ledger/{name}", _entry)

    def record(self, entry: Entry) -> bool:
        """Record a micro-batch's entry, durably; returns whether it was time to merge old ones, so that some are gone.

        Raises `CheckpointIncomplete` where the micro-batch is one of those that were merged long ago.
        """
        if entry.micro_batch <= self._merged_up_to:
            raise CheckpointIncomplete(
                f"Spark plans micro-batch {entry.micro_batch}, but the ledger beside it knows all up to {self._merged_up_to}: "
                "a part of the checkpoint was deleted or put back. Restore the whole of it, or start with another --checkpoint"
            )
        self._folder.write(f"{entry.micro_batch}.json", msgspec.json.encode(entry))
        self._recent[entry.micro_batch] = entry
        if self._overtaken:
            self._forget_overtaken(entry)
        if entry.micro_batch % _AT_ONCE or entry.micro_batch <= _SINGLE:
            return False
        self._merge(before=entry.micro_batch - _SINGLE)
        return True

    def overtake(self, micro_batch: int) -> None:
        """Withdraw the entries from this micro-batch on, because Spark has planned it again with other offsets.

        That can happen where a machine lost its power and with it Spark's newest files, which Spark does not
        sync to the disk. Records may have been written by what these entries say, so it stays known; see `bound`.
        """
        stale = [self.entry(number) for number in self._numbers() if number >= micro_batch]
        entries = [entry for entry in stale if entry is not None]
        self._overtaken += [piece for piece in merged([], entries) if piece not in self._overtaken]
        self._folder.write_newest(_OVERTAKEN, msgspec.json.encode(self._overtaken))
        for entry in reversed(entries):  # interrupted, it finds the lowest one again, and begins again
            self._folder.delete(f"{entry.micro_batch}.json")
            self._recent.pop(entry.micro_batch, None)

    def bound(self, entry: Entry) -> Entry:
        """A new entry, with those of its records that were judged before by what judged them."""
        return msgspec.structs.replace(entry, bound=judged_before(entry, self._overtaken)) if self._overtaken else entry

    def forget(self, micro_batch: int) -> None:
        """Remove the entry of a micro-batch that was planned of a topic that is gone, and never committed."""
        self._folder.delete(f"{micro_batch}.json")
        self._recent.pop(micro_batch, None)

    def pieces(self, topic_id: str = "") -> list[Range]:
        """What is recorded, as ranges in the order of the micro-batches, each with versions of its own.

        topic_id: of this topic alone (or of one whose id is not known, as in an earlier release).
        """
        files = sorted(self._chunks().items())
        ranges = [piece for number, revisions in files for piece in self._chunk(number, revisions[-1])]
        pieces = merged(ranges, self._entries(self._numbers()))
        return [piece for piece in pieces if not topic_id or piece.topic_id in ("", topic_id)]

    def versions_at(self, partition: int, offset: int, topic_id: str = "") -> Versions | None:
        """What judged a record; None where the ledger does not know the record."""
        for piece in self.pieces(topic_id):
            if piece.start.get(str(partition), 0) <= offset < piece.end.get(str(partition), 0):
                return piece.versions
        return None

    def models_in_single_entries(self) -> set[str]:
        """The digests of the models that a restart may need."""
        return {each.model_digest for each in _judges(self._recent_versions())}

    def tables(self) -> Named:
        """The tables that anything kept names. A file of ranges is read once, until it changes."""
        found = [_named(self._recent_versions())]
        for number, revisions in self._chunks().items():
            name = f"ranges-{number}.{revisions[-1]}"
            if name not in self._named:
                self._named[name] = _named(piece.versions for piece in self._chunk(number, revisions[-1]))
            found.append(self._named[name])
        return Named(*(frozenset().union(*sets) for sets in zip(*found, strict=True)))

    def _recent_versions(self) -> list[Versions]:
        entries = self._entries(self._numbers())
        bound = (piece.versions for pieces in (self._overtaken, *(e.bound for e in entries)) for piece in pieces)
        return [*(entry.versions for entry in entries), *bound]

    def _merge(self, before: int) -> None:
        chunks = self._chunks()
        last = max(chunks, default=0)
        ranges = self._chunk(last, chunks[last][-1]) if chunks else []
        old = self._entries(number for number in self._numbers() if number < before)
        if len(ranges) < _CHUNK:
            fresh = merged(ranges, old)
            revision = chunks[last][-1] + 1 if chunks else 0
        else:
            fresh = merged([], (entry for entry in old if entry.micro_batch > ranges[-1].last_micro_batch))
            last, ranges, revision = last + 1, [], 0
        if fresh:
            self._merged_up_to = fresh[-1].last_micro_batch
        if fresh != ranges:
            self._folder.write(f"ranges-{last}.{revision}", msgspec.json.encode(fresh))
        for entry in old:
            self._folder.delete(f"{entry.micro_batch}.json")
            self._recent.pop(entry.micro_batch, None)
        oldest = last - -(-self._kept // _CHUNK)
        self.dropped = self.dropped or any(number < oldest for number in chunks)
        for number, revisions in self._chunks().items():
            for superseded in revisions if number < oldest else revisions[:-1]:
                self._folder.delete(f"ranges-{number}.{superseded}")
                self._named.pop(f"ranges-{number}.{superseded}", None)

    def _forget_overtaken(self, entry: Entry) -> None:
        if all(entry.end.get(p, 0) >= end for piece in self._overtaken for p, end in piece.end.items()):
            self._overtaken = []
            self._folder.write_newest(_OVERTAKEN, msgspec.json.encode(self._overtaken))

    def _numbers(self) -> list[int]:
        return sorted(
            int(name[:-5]) for name in self._folder.names() if name.endswith(".json") and is_number(name[:-5])
        )

    def _entries(self, numbers: Iterable[int]) -> list[Entry]:
        found = (self._recent.get(number) or self.entry(number) for number in numbers)
        return [entry for entry in found if entry is not None]

    def _chunks(self) -> dict[int, list[int]]:
        """The revisions of each file of ranges, ascending."""
        chunks: dict[int, list[int]] = {}
        for match in sorted(filter(None, map(_NAME.fullmatch, self._folder.names())), key=lambda m: int(m[2])):
            chunks.setdefault(int(match[1]), []).append(int(match[2]))
        return chunks

    def _chunk(self, number: int, revision: int) -> list[Range]:
        content = self._folder.read(name := f"ranges-{number}.{revision}")
        return [] if content is None else decoded(content, f"ledger/{name}", _ranges)

    def _read(self, name: str) -> list[Range]:
        content = self._folder.read_newest(name)
        return [] if content is None else decoded(content, f"ledger/{name}", _ranges)


def _judges(every: Iterable[Versions]) -> Iterator[Versions | Challenger]:
    """What judges by these versions, and what is on trial beside it."""
    return (each for versions in every for each in (versions, versions.challenger) if each is not None)


def _named(versions: Iterable[Versions]) -> Named:
    every = list(versions)
    return Named(
        frozenset(f"{each.thresholds}-{each.table_digest}" for each in _judges(every) if each.thresholds),
        frozenset(f"{each.profiles}-{each.profiles_digest}" for each in every if each.profiles),
    )
