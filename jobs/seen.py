"""Which records were counted, so that one that comes again, as a score may, counts once."""

import zlib
from collections.abc import Iterable
from typing import Final, NamedTuple, Self

import msgspec
import numpy as np

from ml.arrays import Flags, Ints

_BITS: Final = 16
_BYTES: Final = (1 << _BITS) // 8
_OFFSET_BITS: Final = 48 - _BITS
_NUMBER: Final = (1 << _OFFSET_BITS) - 1
_KEPT: Final = 64
_RECENT: Final = 16
_HALF: Final = 1 << (_BITS - 1)
_MOST_SPANS: Final = 64
_MOST_WITH_FEW: Final = 1 << 12
_MOST: Final = 1 << 13

_CHUNK: Final = np.dtype([("place", "i8"), ("touched", "i8"), ("bits", "u1", (_BYTES,))])
"""A bit for each of 65,536 positions that follow each other. place: their position / 65,536. touched: when one came last."""


class _Stored(msgspec.Struct):
    chunks: bytes
    latest: dict[int, int]
    done: dict[int, list[tuple[int, int]]]
    times: int


class _Chunk:
    """A bit for each of 65,536 offsets of a partition, how many are set, and when the last one was."""

    __slots__ = ("bits", "count", "touched")

    def __init__(self, bits: np.ndarray, touched: int) -> None:
        self.bits = bits
        self.count = int(np.bitwise_count(bits).sum())
        self.touched = touched

    @property
    def has_few(self) -> bool:
        return self.count < _HALF


class Again(NamedTuple):
    """Of n records: known (n,) bool, those that were counted before. partitions: of such that are later than the latest."""

    known: Flags
    partitions: list[int]


class Seen:
    """Which positions (`ml.features.folding.position`) were counted, in chunks of 65,536 offsets.

    Of each partition those 64 chunks are kept of which half or more was counted, and that were added to last; one that gives
    way to them counts as counted whole, if a later one is kept. So an offset that somebody invented, as anybody may who may
    write to `scores`, has no other taken for one that was counted. Chunks with less than half are kept as long as there is
    room: 4,096 of them, and 8,192 in all, of 8 KiB; then those give way that nothing was added to in the last 16 times, and
    of others those with fewest, as if they were never counted.

    latest: by partition the latest Kafka time (ms) of its records. Where a record was counted, and is later than that, the
    topic may have been made again, so that its offsets begin again.
    """

    def __init__(self) -> None:
        self._chunks: dict[int, _Chunk] = {}
        self._done: dict[int, list[tuple[int, int]]] = {}
        self._times = 0
        self.latest: dict[int, int] = {}

    @classmethod
    def unpacked(cls, packed: bytes) -> Self:
        """What `packed` gave."""
        found = cls()
        stored = msgspec.msgpack.decode(zlib.decompress(packed), type=_Stored)
        for place, touched, bits in np.frombuffer(stored.chunks, _CHUNK):
            found._chunks[int(place)] = _Chunk(bits, int(touched))
        found._done, found._times, found.latest = stored.done, stored.times, stored.latest
        return found

    @property
    def packed(self) -> bytes:
        """All of it as bytes."""
        chunks = np.zeros(len(self._chunks), _CHUNK)
        for row, (place, chunk) in enumerate(sorted(self._chunks.items())):
            chunks[row] = place, chunk.touched, chunk.bits
        stored = _Stored(chunks.tobytes(), self.latest, self._done, self._times)
        return zlib.compress(msgspec.msgpack.encode(stored), 1)

    def __len__(self) -> int:
        return sum(chunk.count for chunk in self._chunks.values())

    def again(self, positions: Ints, kafka_time: Ints) -> Again:
        """Which records (n,) were counted before, or are too old to be known."""
        order = np.argsort(positions, kind="stable")
        places, first = np.unique(positions[order] >> _BITS, return_index=True)
        known = np.zeros(len(positions), np.bool_)
        for place, rows in zip(places.tolist(), np.split(order, first[1:]), strict=False):
            chunk = self._chunks.get(place)
            if any(low <= place <= high for low, high in self._done.get(place >> _OFFSET_BITS, ())):
                known[rows] = True
            elif chunk is not None:
                known[rows] = _are_set(chunk.bits, positions[rows])
        partitions = positions[known] >> (_BITS + _OFFSET_BITS)
        times = latest_by(partitions, kafka_time[known])
        return Again(known, [each for each, time in times.items() if time > self.latest.get(each, 1 << 62)])

    def take_in(self, positions: Ints, latest: dict[int, int]) -> None:
        """Count records: ascending positions (n,), none twice."""
        self._times += 1
        places, first = np.unique(positions >> _BITS, return_index=True)
        for place in places.tolist():
            if place in self._chunks:
                self._chunks[place].touched = self._times
        for place, some in zip(places.tolist(), np.split(positions, first[1:]), strict=False):
            self._add(place, some)
            if len(self._chunks) > _MOST + _MOST_WITH_FEW:
                self._forget()
        self._forget()
        for partition, time in latest.items():
            self.latest[partition] = max(time, self.latest.get(partition, time))

    def forget_partition(self, partition: int) -> None:
        """Begin again with a partition."""
        self._chunks = {place: chunk for place, chunk in self._chunks.items() if place >> _OFFSET_BITS != partition}
        self._done.pop(partition, None)
        self.latest.pop(partition, None)

    def _add(self, place: int, positions: Ints) -> None:
        before = self._chunks.get(place)
        bits = np.zeros(1 << _BITS, np.uint8) if before is None else np.unpackbits(before.bits)
        bits[positions & ((1 << _BITS) - 1)] = 1
        self._chunks[place] = _Chunk(np.packbits(bits), self._times)

    def _forget(self) -> None:
        by_partition: dict[int, list[int]] = {}
        for place, chunk in self._chunks.items():
            if not chunk.has_few:
                by_partition.setdefault(place >> _OFFSET_BITS, []).append(place)
        for partition, places in by_partition.items():
            self._give_way(partition, self._oldest_first(places)[: max(0, len(places) - _KEPT)], places)
        few = [place for place, chunk in self._chunks.items() if chunk.has_few]
        few.sort(key=self._worth)
        self._drop(few[: max(0, len(few) - _MOST_WITH_FEW)])
        self._drop(self._oldest_first(self._chunks)[: max(0, len(self._chunks) - _MOST)])

    def _oldest_first(self, places: Iterable[int]) -> list[int]:
        """Those that were touched earliest; of those that were touched just now the farthest ahead, which may be invented."""

        def order(place: int) -> tuple[int, int]:
            touched, number = self._chunks[place].touched, place & _NUMBER
            return touched, -number if touched == self._times else number

        return sorted(places, key=order)

    def _worth(self, place: int) -> tuple[bool, int, int]:
        """The order in which chunks with few give way: those of long ago first, then those with fewest."""
        chunk = self._chunks[place]
        return chunk.touched > self._times - _RECENT, chunk.count, -(place & _NUMBER)

    def _give_way(self, partition: int, gone: list[int], places: list[int]) -> None:
        """Drop chunks of a partition; one before another that is kept, and not far, counts as counted whole."""
        kept = set(places) - set(gone)
        done = [(place, place) for place in gone if any(place < other <= place + 2 * _KEPT for other in kept)]
        self._drop(gone)
        if done:
            spans = _together([*self._done.get(partition, []), *done])
            longest = sorted(spans, key=lambda span: span[0] - span[1])[:_MOST_SPANS]
            self._done[partition] = sorted(longest)

    def _drop(self, places: Iterable[int]) -> None:
        for place in places:
            del self._chunks[place]


def latest_by(partitions: Ints, times: Ints) -> dict[int, int]:
    """By partition the latest of the times (n,) of its records."""
    order = np.lexsort((times, partitions))
    ordered = partitions[order]
    last = np.append(ordered[1:] != ordered[:-1], True)[: len(ordered)]
    return dict(zip(ordered[last].tolist(), times[order][last].tolist(), strict=True))


def _together(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Spans from the first number to the last, with those as one that meet.

    >>> _together([(5, 5), (1, 3), (4, 4)])
    [(1, 5)]
    """
    out: list[tuple[int, int]] = []
    for low, high in sorted(spans):
        if out and low <= out[-1][1] + 1:
            out[-1] = out[-1][0], max(high, out[-1][1])
        else:
            out.append((low, high))
    return out


def _are_set(bits: np.ndarray, positions: Ints) -> Flags:
    """Which positions (n,) of one chunk have their bit."""
    places = positions & ((1 << _BITS) - 1)
    found: Flags = (bits[places >> 3] >> (7 - (places & 7)).astype(np.uint8)) & 1 != 0
    return found
