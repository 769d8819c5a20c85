"""Which records were counted, so that one that comes again, as a score may, counts once."""

import zlib
from typing import Final, NamedTuple, Self

import msgspec
import numpy as np

from ml.arrays import Flags, Ints

_BITS: Final = 16
_BYTES: Final = (1 << _BITS) // 8
_KEPT: Final = 64

CHUNK: Final = np.dtype([("partition", "i4"), ("number", "i8"), ("bits", "u1", (_BYTES,))])
"""A bit for each of 65,536 offsets of a partition, of which this is chunk `number`."""


class Marked(NamedTuple):
    """Of n records: new (n,) bool, those that were not counted before. again: partitions whose topic was made again."""

    new: Flags
    again: frozenset[int]


class _Stored(msgspec.Struct):
    chunks: bytes
    latest: dict[int, int]


class Seen:
    """Of each partition the newest 64 chunks of offsets, some four million; what is older counts as counted.

    latest: by partition the latest Kafka time (ms) of its records. Where a record seems to have been counted, and is later than
    that, the topic was made again and its offsets begin again.
    """

    def __init__(self) -> None:
        self._chunks: dict[tuple[int, int], np.ndarray] = {}
        self._newest: dict[int, int] = {}
        self.latest: dict[int, int] = {}

    @classmethod
    def unpacked(cls, packed: bytes) -> Self:
        """What `packed` gave."""
        found = cls()
        stored = msgspec.msgpack.decode(zlib.decompress(packed), type=_Stored)
        found.take_in(np.frombuffer(stored.chunks, CHUNK), stored.latest)
        return found

    @property
    def packed(self) -> bytes:
        """All of it as bytes."""
        return zlib.compress(msgspec.msgpack.encode(_Stored(self.chunks().tobytes(), self.latest)), 1)

    def chunks(self) -> np.ndarray:
        """(c,) CHUNK."""
        out = np.zeros(len(self._chunks), CHUNK)
        for row, ((partition, number), bits) in enumerate(sorted(self._chunks.items())):
            out[row] = partition, number, bits
        return out

    def __len__(self) -> int:
        return sum(int(np.bitwise_count(bits).sum()) for bits in self._chunks.values())

    def mark(self, partition: Ints, offset: Ints, kafka_time: Ints, before: "Seen | None" = None) -> Marked:
        """Mark records (n,) as counted. before: what was counted already, and is not changed."""
        new = np.zeros(len(partition), np.bool_)
        numbers, again = offset >> _BITS, set[int]()
        for each in np.unique(partition).tolist():
            mine = np.flatnonzero(partition == each)
            for number in np.unique(numbers[mine])[
                ::-1
            ].tolist():  # the newest first, so that no older one is forgotten too late
                rows = mine[numbers[mine] == number]
                known = before.has(each, offset[rows]) if before is not None else np.zeros(len(rows), np.bool_)
                if before is not None and (kafka_time[rows[known]] > before.latest.get(each, 1 << 62)).any():
                    again.add(each)
                fresh = rows[~known]
                bits = np.unpackbits(self._chunk(each, number))
                places, first = np.unique(offset[fresh] & ((1 << _BITS) - 1), return_index=True)
                first = first[bits[places] == 0]
                bits[places] = 1
                self._put(each, number, np.packbits(bits))
                new[fresh[first]] = True
            self.latest[each] = max(self.latest.get(each, -(1 << 62)), int(kafka_time[mine].max()))
        return Marked(new, frozenset(again))

    def has(self, partition: int, offset: Ints) -> Flags:
        """Which offsets (n,) of a partition are counted, or too old to be known."""
        out = offset >> _BITS <= self._newest.get(partition, -_KEPT) - _KEPT
        for number in np.unique(offset[~out] >> _BITS).tolist():
            rows = np.flatnonzero(offset >> _BITS == number)
            out[rows] = np.unpackbits(self._chunk(partition, number))[offset[rows] & ((1 << _BITS) - 1)] != 0
        return out

    def take_in(self, chunks: np.ndarray, latest: dict[int, int]) -> int:
        """Add (c,) CHUNK; returns how many of their records were counted here already."""
        twice = 0
        for partition, number, bits in zip(
            chunks["partition"].tolist(), chunks["number"].tolist(), chunks["bits"], strict=True
        ):
            known = self._chunk(partition, number)
            twice += int(np.bitwise_count(known & bits).sum())
            self._put(partition, number, known | bits)
        for partition, time in latest.items():
            self.latest[partition] = max(time, self.latest.get(partition, time))
        self._forget()
        return twice

    def forget_partition(self, partition: int) -> None:
        """Begin again with a partition."""
        self._chunks = {place: bits for place, bits in self._chunks.items() if place[0] != partition}
        self._newest.pop(partition, None)
        self.latest.pop(partition, None)

    def _chunk(self, partition: int, number: int) -> np.ndarray:
        return self._chunks.get((partition, number), _NONE)

    def _put(self, partition: int, number: int, bits: np.ndarray) -> None:
        self._chunks[partition, number] = bits
        self._newest[partition] = max(number, self._newest.get(partition, number))

    def _forget(self) -> None:
        old = [place for place in self._chunks if place[1] <= self._newest[place[0]] - _KEPT]
        for place in old:
            del self._chunks[place]


_NONE: Final = np.zeros(_BYTES, np.uint8)
