"""Which records were judged by what: the entries of a ledger, the ranges that they are merged into, and what these say."""

from collections.abc import Iterable, Sequence
from typing import Any, Self

import msgspec

Offsets = dict[str, int]


class Challenger(msgspec.Struct, frozen=True):
    """A second model, and the customers that it meets; see `Versions`.

    share: of the customers, whose transactions it scores beside the champion. judges: of the customers, whose transactions
    it judges. Which ones a share means says `detection.trial.chosen`, by the salt.
    """

    model: int
    name: str = ""
    model_digest: str = ""
    thresholds: int = 0
    table_digest: str = ""
    share: float = 1.0
    judges: float = 0.0
    salt: str = ""


class Versions(msgspec.Struct, frozen=True):
    """What a micro-batch judges by. thresholds: of the table; 0 is the model's own threshold. profiles: of theirs; 0: none.

    Models and tables are named by what they are, their digests; name, model, thresholds and profiles are what people call them.
    challenger: the model that is on trial beside it; None for none.
    """

    model: int
    thresholds: int = 0
    name: str = ""
    model_digest: str = ""
    table_digest: str = ""
    profiles: int = 0
    profiles_digest: str = ""
    challenger: Challenger | None = None

    @property
    def by_challenger(self) -> "Versions | None":
        """What those records are judged by that the challenger judges; None where there is none."""
        by = self.challenger
        if by is None:
            return None
        return msgspec.structs.replace(
            self,
            model=by.model,
            thresholds=by.thresholds,
            name=by.name,
            model_digest=by.model_digest,
            table_digest=by.table_digest,
            challenger=None,
        )


class _Judged(msgspec.Struct, frozen=True, kw_only=True):
    """Records that were judged by the same versions: start ≤ offset < end by partition.

    topic_id: of the topic that the offsets are of; a topic that is made again under the same name has another one.
    """

    model_version: int
    start: Offsets
    end: Offsets
    threshold_version: int = 0
    model_name: str = ""
    model_digest: str = ""
    table_digest: str = ""
    profile_version: int = 0
    profile_digest: str = ""
    topic_id: str = ""
    challenger: Challenger | None = None

    @property
    def versions(self) -> Versions:
        """All that judged the records."""
        return Versions(
            self.model_version,
            self.threshold_version,
            self.model_name,
            self.model_digest,
            self.table_digest,
            self.profile_version,
            self.profile_digest,
            self.challenger,
        )


def _judged(versions: Versions, start: Offsets, end: Offsets, topic_id: str) -> dict[str, Any]:
    return {
        "model_version": versions.model,
        "start": start,
        "end": end,
        "threshold_version": versions.thresholds,
        "model_name": versions.name,
        "model_digest": versions.model_digest,
        "table_digest": versions.table_digest,
        "profile_version": versions.profiles,
        "profile_digest": versions.profiles_digest,
        "topic_id": topic_id,
        "challenger": versions.challenger,
    }


class Entry(_Judged, frozen=True, kw_only=True):
    """One micro-batch: what judged it, and the records that it holds.

    bound: those among them that were judged before, in micro-batches that were cut differently, and by what; see
    `detection.ledger.Ledger.overtake`. Each is of one partition, in the order of partitions and offsets.
    """

    micro_batch: int
    bound: "list[Range]" = []

    @classmethod
    def from_versions(
        cls, micro_batch: int, versions: Versions, start: Offsets, end: Offsets, topic_id: str = ""
    ) -> Self:
        """The entry of a micro-batch that is judged by these versions."""
        return cls(micro_batch=micro_batch, **_judged(versions, start, end, topic_id))


class Range(_Judged, frozen=True, kw_only=True):
    """Micro-batches that follow each other and share their versions, with the records that they hold together."""

    first_micro_batch: int
    last_micro_batch: int

    @classmethod
    def from_entry(cls, entry: Entry) -> Self:
        """The range of one micro-batch."""
        number, judged = entry.micro_batch, _judged(entry.versions, entry.start, entry.end, entry.topic_id)
        return cls(first_micro_batch=number, last_micro_batch=number, **judged)


def merged(ranges: Iterable[Range], entries: Iterable[Entry]) -> list[Range]:
    """The ranges with the entries taken in; entries that a range holds already change nothing.

    >>> one = Entry.from_versions(0, Versions(7), {"0": 0}, {"0": 10})
    >>> two = Entry.from_versions(1, Versions(7), {"0": 10}, {"0": 15})
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
        pieces = pieces_of(entry)
        if len(pieces) == 1 and last is not None and _follows(entry, last):
            out[-1] = msgspec.structs.replace(last, last_micro_batch=entry.micro_batch, end=entry.end)
        else:
            out += pieces
    return out


def _follows(entry: Entry, last: Range) -> bool:
    same = (last.versions, last.topic_id) == (entry.versions, entry.topic_id)
    return same and last.end == entry.start


def pieces_of(entry: Entry) -> list[Range]:
    """The ranges of one micro-batch: one, or more where some of its records were judged before."""
    if not entry.bound:
        return [Range.from_entry(entry)]
    return [_piece(entry, p, start, end, known or entry.versions) for p, start, end, known in cuts(entry, entry.bound)]


def judged_before(entry: Entry, recorded: Sequence[Range]) -> list[Range]:
    """Of a micro-batch's records those that the ranges know, each range of one partition."""
    found = cuts(entry, recorded)
    return [_piece(entry, p, start, end, known) for p, start, end, known in found if known is not None]


def _piece(entry: Entry, partition: int, start: int, end: int, versions: Versions) -> Range:
    name = str(partition)
    return Range.from_entry(
        Entry.from_versions(entry.micro_batch, versions, {name: start}, {name: end}, entry.topic_id)
    )


Cut = tuple[int, int, int, Versions | None]
"""Partition, the first offset, the one after the last, and what judges between; None where the ranges do not know."""


def cuts(entry: Entry, recorded: Sequence[Range]) -> list[Cut]:
    """What judges a micro-batch's records according to ranges of an earlier ledger, by partition and offset, without gaps.

    Ranges of another topic of the same name, by their ids, hold none of its records.

    >>> entries = [Entry.from_versions(n, Versions(n + 1), {"0": 10 * n}, {"0": 10 * n + 10}) for n in range(2)]
    >>> earlier = [Range.from_entry(entry) for entry in entries]
    >>> again = Entry.from_versions(0, Versions(3), {"0": 5}, {"0": 25})
    >>> [(partition, start, end, by and by.model) for partition, start, end, by in cuts(again, earlier)]
    [(0, 5, 10, 1), (0, 10, 20, 2), (0, 20, 25, None)]
    """
    found: list[Cut] = []
    recorded = [piece for piece in recorded if not entry.topic_id or piece.topic_id in ("", entry.topic_id)]
    for name, end in sorted(entry.end.items(), key=lambda item: int(item[0])):
        partition, at = int(name), entry.start.get(name, 0)
        for piece in _overlapping(recorded, name, at, end):
            first, last = max(at, piece.start.get(name, 0)), min(end, piece.end[name])
            if first >= last:
                continue
            if first > at:
                found.append((partition, at, first, None))
            found.append((partition, first, last, piece.versions))
            at = last
        if at < end:
            found.append((partition, at, end, None))
    return found


def _overlapping(recorded: Sequence[Range], name: str, start: int, end: int) -> list[Range]:
    """The ranges that hold any of a partition's records in between, in their order."""
    some = [piece for piece in recorded if piece.start.get(name, 0) < end and start < piece.end.get(name, 0)]
    return sorted(some, key=lambda piece: piece.start.get(name, 0))
