"""The ledger: which model and which offsets each micro-batch of detect used, recorded before its first record is written."""

from typing import Final

import msgspec

from jobs.storage import DurableFolder

Offsets = dict[str, int]

_KEPT: Final = 200
_RANGES: Final = "ranges"


class Entry(msgspec.Struct, frozen=True):
    """One micro-batch: the model that judged it, and the records that it holds: start ≤ offset < end by partition."""

    micro_batch: int
    model_version: int
    start: Offsets
    end: Offsets


class Range(msgspec.Struct, frozen=True):
    """Micro-batches that follow each other and share a model version, with the records that they hold together."""

    first_micro_batch: int
    last_micro_batch: int
    model_version: int
    start: Offsets
    end: Offsets


class Ledger:
    """Entries by micro-batch, durable. An entry is written once: a retry or a restart finds it and judges by it again.

    The newest entries are a file each; older ones are merged into ranges, so that the whole stays small.
    """

    def __init__(self, folder: DurableFolder) -> None:
        self._folder = folder

    def entry(self, micro_batch: int) -> Entry | None:
        """What is recorded for a micro-batch; None where nothing is, so that it may still choose its model."""
        content = self._folder.read(f"{micro_batch}.json")
        return None if content is None else msgspec.json.decode(content, type=Entry)

    def record(self, entry: Entry) -> None:
        """Record a micro-batch's entry, durably; at times also merges the old ones."""
        self._folder.write(f"{entry.micro_batch}.json", msgspec.json.encode(entry))
        if entry.micro_batch and entry.micro_batch % _KEPT == 0:
            self._merge(before=entry.micro_batch - _KEPT)

    def version_at(self, partition: int, offset: int) -> int | None:
        """The model version that judged a record; None where the ledger does not know the record."""
        for piece in [*self._ranges(), *self._entries()]:
            if piece.start.get(str(partition), 0) <= offset < piece.end.get(str(partition), 0):
                return piece.model_version
        return None

    def _merge(self, before: int) -> None:
        old = [entry for entry in self._entries() if entry.micro_batch < before]
        self._folder.write_newest(_RANGES, msgspec.json.encode(merged(self._ranges(), old)))
        for entry in old:
            self._folder.delete(f"{entry.micro_batch}.json")

    def _entries(self) -> list[Entry]:
        numbers = sorted(int(name[:-5]) for name in self._folder.names() if name[:-5].isdigit())
        return [entry for number in numbers if (entry := self.entry(number)) is not None]

    def _ranges(self) -> list[Range]:
        content = self._folder.read_newest(_RANGES)
        return [] if content is None else msgspec.json.decode(content, type=list[Range])


def merged(ranges: list[Range], entries: list[Entry]) -> list[Range]:
    """The ranges with the entries taken in; entries that a range holds already change nothing.

    >>> one = Entry(0, 7, {"0": 0}, {"0": 10})
    >>> two = Entry(1, 7, {"0": 10}, {"0": 15})
    >>> merged([], [one, two]) == merged(merged([], [one, two]), [one])
    True
    >>> merged([], [one, two])[0].end
    {'0': 15}
    """
    out = list(ranges)
    for entry in sorted(entries, key=lambda entry: entry.micro_batch):
        last = out[-1] if out else None
        if last is not None and entry.micro_batch <= last.last_micro_batch:
            continue
        if last is not None and last.model_version == entry.model_version:
            out[-1] = msgspec.structs.replace(last, last_micro_batch=entry.micro_batch, end=entry.end)
        else:
            out.append(Range(entry.micro_batch, entry.micro_batch, entry.model_version, entry.start, entry.end))
    return out
