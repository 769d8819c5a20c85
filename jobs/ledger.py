"""The ledger: what each micro-batch of detect judges by, and its offsets, recorded before its first record is written."""

from typing import Final, Self

import msgspec

from jobs.storage import DurableFolder

Offsets = dict[str, int]

_KEPT: Final = 200
_RANGES: Final = "ranges"


class Versions(msgspec.Struct, frozen=True):
    """What a micro-batch judges by. thresholds: of the table; 0 is the model's own threshold. risk: 0 is none."""

    model: int
    thresholds: int = 0
    risk: int = 0


class Entry(msgspec.Struct, frozen=True):
    """One micro-batch: what judged it, and the records that it holds: start ≤ offset < end by partition.

    topic_id: of the topic that the offsets are of; a topic that is made again under the same name has another one.

    The versions that came later than the first release have defaults, so that its files can be read.
    """

    micro_batch: int
    model_version: int
    start: Offsets
    end: Offsets
    threshold_version: int = 0
    risk_version: int = 0
    topic_id: str = ""

    @classmethod
    def of(cls, micro_batch: int, versions: Versions, start: Offsets, end: Offsets, topic_id: str = "") -> Self:
        """The entry of a micro-batch that is judged by these versions."""
        return cls(micro_batch, versions.model, start, end, versions.thresholds, versions.risk, topic_id)

    @property
    def versions(self) -> Versions:
        """All that judged the records."""
        return Versions(self.model_version, self.threshold_version, self.risk_version)


class Range(msgspec.Struct, frozen=True):
    """Micro-batches that follow each other and share their versions, with the records that they hold together."""

    first_micro_batch: int
    last_micro_batch: int
    model_version: int
    start: Offsets
    end: Offsets
    threshold_version: int = 0
    risk_version: int = 0
    topic_id: str = ""

    @classmethod
    def of(cls, entry: Entry) -> Self:
        """The range of one micro-batch."""
        number, of = entry.micro_batch, entry.versions
        return cls(number, number, of.model, entry.start, entry.end, of.thresholds, of.risk, entry.topic_id)

    @property
    def versions(self) -> Versions:
        """All that judged the records."""
        return Versions(self.model_version, self.threshold_version, self.risk_version)


class Ledger:
    """Entries by micro-batch, durable. An entry is written once: a retry or a restart finds it and judges by it again.

    The newest entries are a file each; older ones are merged into ranges, so that the whole stays small.
    """

    def __init__(self, folder: DurableFolder) -> None:
        self._folder = folder

    def entry(self, micro_batch: int) -> Entry | None:
        """What is recorded for a micro-batch; None where nothing is, so that it may still choose."""
        content = self._folder.read(f"{micro_batch}.json")
        return None if content is None else msgspec.json.decode(content, type=Entry)

    def record(self, entry: Entry) -> None:
        """Record a micro-batch's entry, durably; at times also merges the old ones."""
        self._folder.write(f"{entry.micro_batch}.json", msgspec.json.encode(entry))
        if entry.micro_batch and entry.micro_batch % _KEPT == 0:
            self._merge(before=entry.micro_batch - _KEPT)

    def forget(self, micro_batch: int) -> None:
        """Take back the entry of a micro-batch that was planned of a topic that is gone, and never committed."""
        self._folder.delete(f"{micro_batch}.json")

    def pieces(self, topic_id: str = "") -> list[Range]:
        """What is recorded, as ranges in the order of the micro-batches, each with versions of its own.

        topic_id: of this topic alone (or of one whose id is not known, as in an earlier release).
        """
        pieces = merged(self._ranges(), self._entries())
        return [piece for piece in pieces if not topic_id or piece.topic_id in ("", topic_id)]

    def versions_at(self, partition: int, offset: int, topic_id: str = "") -> Versions | None:
        """What judged a record; None where the ledger does not know the record."""
        for piece in self.pieces(topic_id):
            if piece.start.get(str(partition), 0) <= offset < piece.end.get(str(partition), 0):
                return piece.versions
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
        if last is not None and (last.versions, last.topic_id) == (entry.versions, entry.topic_id):
            out[-1] = msgspec.structs.replace(last, last_micro_batch=entry.micro_batch, end=entry.end)
        else:
            out.append(Range.of(entry))
    return out
