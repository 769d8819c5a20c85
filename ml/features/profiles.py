"""Profiles: what is known of merchants and categories as of the last full block, and the features that a look-up gives.

A table is made from counts (`ml.features.profile_counts`) alone, is as of a block, and knows nothing of a later one:

    table = Profiles.empty(as_of=block - 1)
    table.advance(block)                     # the block is over
    table.take_in(counts_of_block)           # COUNTS whose block is at most table.as_of
    table.take_in_labels(labels_known_then)  # LABEL_COUNTS whose block is at most table.as_of
    table.features(merchant, category, log_amount)  # for transactions of later blocks

All sums are integers (`ml.features.fading`): how the counts are cut, and in which order they come, changes nothing, not one
bit, as long as a record is not more half-lives late than a sum has spare bits (16 for a day, 8 for a week, 4 for 30 days).
Counts of later blocks must wait with the caller; `split_at` separates them. `ml.features.profile_file` writes and reads tables.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from ml.arrays import Floats, Hashes, Ints
from ml.features import fading
from ml.features.profile_lookup import directory, look_up
from ml.features.profile_schema import (
    BLOCK_SECONDS,
    COUNTED,
    COUNTS,
    KINDS,
    LABEL_COUNTS,
    MERCHANT,
    NEUTRAL,
    PROFILE_FEATURES,
    PROFILE_SET,
    SUMS,
)

__all__ = [
    "BLOCK_SECONDS",
    "COUNTS",
    "KINDS",
    "LABEL_COUNTS",
    "NEUTRAL",
    "PROFILE_FEATURES",
    "PROFILE_SET",
    "Profiles",
    "entity_keys",
    "split_at",
]

_OF_KIND: Final = np.array([0, 0x9E3779B97F4A7C15], np.uint64)
"""What the hashes of a kind are xored with, so that both kinds stand in one array."""


def entity_keys(kind: Ints, entity: Hashes) -> Hashes:
    """The key (n,) of each entity: kind (n,), a place in KINDS, and its hash (n,)."""
    return entity ^ _OF_KIND[kind]


def split_at(counts: np.ndarray, block: int) -> tuple[np.ndarray, np.ndarray]:
    """The counts that a table as of a block may take in, and those that have to wait."""
    known = counts["block"] <= block
    return counts[known], counts[~known]


@dataclass(eq=False)
class Profiles:
    """The profiles of all entities as of a block; changed in place by `take_in`, `take_in_labels` and `advance`.

    keys: (e,) uint64, ascending. sums: (e, len(SUMS)) int64. total: (len(SUMS),), of all transactions, also those whose
    merchant is unknown. begins: the directory of the keys, made when it is needed. An entity whose sums are all 0 is as one
    that is not there. A table that was read memory-mapped can't be changed: `copy` it first.
    """

    as_of: int
    block_seconds: int
    keys: Hashes
    sums: Ints
    total: Ints
    begins: npt.NDArray[np.int32] | None = None

    @classmethod
    def empty(cls, as_of: int, block_seconds: int = BLOCK_SECONDS) -> Self:
        """A table that knows nothing, as of a block."""
        width = len(SUMS)
        return cls(
            as_of, block_seconds, np.zeros(0, np.uint64), np.zeros((0, width), np.int64), np.zeros(width, np.int64)
        )

    def __len__(self) -> int:
        return len(self.keys)

    def copy(self) -> "Profiles":
        """The same, in memory of its own."""
        return Profiles(self.as_of, self.block_seconds, self.keys.copy(), self.sums.copy(), self.total.copy())

    def advance(self, block: int) -> None:
        """Move on to a later block, which is over: what was counted fades. A block before `as_of` changes nothing."""
        if block <= self.as_of:
            return
        halvings = fading.halvings(self.as_of, block, self.block_seconds)
        for column in np.flatnonzero(halvings):
            self.sums[:, column] >>= halvings[column]
        self.total >>= halvings
        self.as_of = block

    def take_in(self, counts: np.ndarray) -> None:
        """Add COUNTS of blocks that are over. Raises `ValueError` where one is later than `as_of`."""
        self._add(counts, counts["block"], COUNTED[:-1])

    def take_in_labels(self, counts: np.ndarray) -> None:
        """Add LABEL_COUNTS that were known by `as_of`; a fraud fades from when its label came.

        Raises `ValueError` where one became known later.
        """
        self._add(counts, counts["label_block"], COUNTED[-1:])

    def features(self, merchant: Hashes, category: Hashes, log_amount: Floats) -> Floats:
        """(n, len(PROFILE_FEATURES)) of n transactions: hashes (0 where unknown) and log(1 + amount), each (n,).

        They must be of blocks after `as_of`. An entity that is not known has NEUTRAL features.
        """
        out = np.empty((len(merchant), len(PROFILE_FEATURES)))
        begins = self.directory()
        scales = fading.scales(self.as_of, self.block_seconds)
        look_up(self.keys, self.sums, begins, self.total * scales, scales, merchant, category, log_amount, out)
        return out

    def directory(self) -> npt.NDArray[np.int32]:
        """Where the keys that begin with each number of bits stand; see `ml.features.profile_lookup.directory`."""
        if self.begins is None:
            self.begins = directory(self.keys)
        return self.begins

    def make_room(self, keys: Hashes) -> Ints:
        """The rows of entities by their keys (n,), those of new ones too, of which nothing is known yet.

        Many new ones at once cost what one costs.
        """
        rows = np.searchsorted(self.keys, keys)
        is_new = np.append(self.keys, np.uint64(0))[rows] != keys
        is_new[rows == len(self.keys)] = True
        if is_new.any():
            new = np.unique(keys[is_new])
            places = np.searchsorted(self.keys, new)
            self.keys = np.insert(self.keys, places, new)
            self.sums = np.insert(self.sums, places, 0, axis=0)
            self.begins = None
            rows = np.searchsorted(self.keys, keys)
        return rows

    def pruned(self, most: int | None = None) -> "Profiles":
        """The same without entities that nothing is known of; of more than `most` those with most transactions in 30 days."""
        kept = np.flatnonzero(self.sums.any(axis=1))
        if most is not None and len(kept) > most:
            transactions = self.sums[kept, _LONG_TRANSACTIONS]
            kept = np.sort(kept[np.lexsort((self.keys[kept], -transactions))[:most]])
        return Profiles(self.as_of, self.block_seconds, self.keys[kept], self.sums[kept], self.total.copy())

    def _add(self, counts: np.ndarray, since: Ints, names: Sequence[str]) -> None:
        if len(counts) and counts["block"].max() > self.as_of:
            raise ValueError(
                f"a table as of block {self.as_of} knows nothing of a later one, but was given {counts['block'].max()}"
            )
        values = np.zeros((len(counts), len(COUNTED)), np.int64)
        for name in names:
            values[:, COUNTED.index(name)] = counts[name]
        blocks, block_of = np.unique(np.minimum(since, self.as_of), return_inverse=True)
        by_block = fading.factors(blocks, self.as_of, self.block_seconds)
        of_all = np.flatnonzero(counts["kind"] == MERCHANT)
        nowhere = np.zeros(len(of_all), np.int64)
        fading.add(self.total[np.newaxis], nowhere, values[of_all], _SOURCES, by_block, block_of[of_all])
        known = np.flatnonzero(counts["entity"] != 0)
        keys = entity_keys(counts["kind"][known], counts["entity"][known])
        rows = self.make_room(keys)
        fading.add(self.sums, rows, values[known], _SOURCES, by_block, block_of[known])


_SOURCES: Final = [COUNTED.index(kept.counted) for kept in SUMS]
_LONG_TRANSACTIONS: Final = max(range(len(SUMS)), key=lambda s: (SUMS[s].counted == "transactions", SUMS[s].days))
