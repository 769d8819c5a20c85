"""The form of what the profiles query keeps on disk between micro-batches, and the limits of it."""

import zlib
from typing import Final, NamedTuple

import msgspec

from detection.ranges import Offsets
from detection.table_files import Name
from jobs.sorted_files import SortedFile
from ml.schema import DIGEST_DIGITS

_DAY_SECONDS: Final = 86_400


class Limits(NamedTuple):
    """block_seconds: length of a block. index_days, index_transactions: for so long, and of so many, labels find them."""

    block_seconds: int
    index_days: int
    index_transactions: int

    def blocks(self, days: int) -> int:
        """So many days in blocks."""
        return max(1, days * _DAY_SECONDS // self.block_seconds)


class Made(msgspec.Struct, frozen=True):
    """The last table: its version and digest, the block that it is as of, bytes and entities."""

    version: int
    digest: str
    as_of: int
    size: int
    entities: int

    @property
    def name(self) -> Name:
        """What the ledger calls it."""
        return Name(self.version, self.digest[:DIGEST_DIGITS])


class Totals(msgspec.Struct, frozen=True):
    """Since the first start: scores and labels taken in; labels that changed nothing, and of transactions that never came;
    scores that came again; records that are neither."""

    scores: int = 0
    labels: int = 0
    unchanged: int = 0
    given_up: int = 0
    repeated: int = 0
    foreign: int = 0


class State(msgspec.Struct, frozen=True):
    """All that is durable, with the files that it lists. offsets: up to which all of it is of, by topic and partition.

    history_until: the last block that training's history has counted, where the first table was its own: scores of up to then
    are in the index, and count no second time. topics: by partition of transactions the id of the topic that it began again
    with.
    """

    micro_batch: int
    block_seconds: int
    made: Made | None
    files: dict[str, list[SortedFile]]
    traffic: bytes
    seen: bytes
    early: bytes
    totals: Totals
    offsets: dict[str, Offsets]
    history_until: int | None = None
    topics: dict[int, str] = {}


def packed(state: State) -> bytes:
    """The content of its file."""
    return zlib.compress(msgspec.msgpack.encode(state), 1)


def unpacked(content: bytes) -> State:
    """What `packed` gave. Raises `zlib.error` or `msgspec.DecodeError` where the content is damaged."""
    return msgspec.msgpack.decode(zlib.decompress(content), type=State)
