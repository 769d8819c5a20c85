"""Fading sums as integers: exact, whatever the order of what is added and however it is cut.

A record of block b in a sum of half-life T blocks weighs round(2^w · 2^((b mod T) / T)) · 2^(b div T). A sum is kept in
units of its table's own period, as_of div T, with s spare bits below; when the table moves on by a period it is halved, rounded
down. Rounding down m times is rounding down once, and floor((x + c · 2^m) / 2^m) = floor(x / 2^m) + c: so a record that comes
up to s half-lives late adds the same integer as if it had come in time. One that is later is not counted.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import numpy as np

from ml.arrays import Floats, Ints
from ml.compiling import compiled
from ml.features.profile_schema import SUMS

_DAY_SECONDS: Final = 86_400
_LARGEST: Final = np.iinfo(np.int64).max


def half_lives(block_seconds: int) -> tuple[int, ...]:
    """The half-life of each of SUMS, in blocks."""
    return tuple(max(1, kept.days * _DAY_SECONDS // block_seconds) for kept in SUMS)


@lru_cache(maxsize=1 << 16)
def _weight(place: int, half_life: int, weight_bits: int) -> int:
    return int(np.rint(2.0 ** (weight_bits + place / half_life)))


def factors(blocks: Ints, as_of: int, block_seconds: int) -> Ints:
    """(n, len(SUMS)): what one record of each block (n,) adds to each sum of a table as of a block; 0 where it is too late.

    No block is later than `as_of`.
    """
    out = np.zeros((len(blocks), len(SUMS)), np.int64)
    for column, (kept, half_life) in enumerate(zip(SUMS, half_lives(block_seconds), strict=True)):
        period = as_of // half_life
        for row, block in enumerate(blocks.tolist()):
            spare = kept.spare_bits - (period - block // half_life)
            if spare >= 0:
                out[row, column] = _weight(block % half_life, half_life, kept.weight_bits) << spare
    return out


def halvings(before: int, after: int, block_seconds: int) -> Ints:
    """(len(SUMS),): how often each sum is halved when a table moves from one block to a later one; at most 63 matter."""
    return np.array([min(63, after // h - before // h) for h in half_lives(block_seconds)], np.int64)


def scales(as_of: int, block_seconds: int) -> Floats:
    """(len(SUMS),): what a sum is multiplied by to be in records of block `as_of`."""
    return np.array(
        [
            2.0 ** -(kept.weight_bits + kept.spare_bits + (as_of % half_life) / half_life)
            for kept, half_life in zip(SUMS, half_lives(block_seconds), strict=True)
        ]
    )


def add(sums: Ints, rows: Ints, values: Ints, sources: Sequence[int], by_block: Ints, block_of: Ints) -> None:
    """Add to sums (e, S) in rows (n,) what values (n, V) of columns `sources` (S,) weigh: by_block (b, S) at block_of (n,)."""
    if len(rows):
        _add(sums, rows, values, np.array(sources, np.int64), by_block, block_of)


@compiled
def _add(sums, rows, values, sources, by_block, block_of):  # type: ignore[no-untyped-def]
    for i in range(len(rows)):
        for s in range(len(sources)):
            factor = by_block[block_of[i], s]
            value = values[i, sources[s]]
            if factor != 0 and value != 0:
                most = _LARGEST // factor
                more = min(max(value, -most), most) * factor
                kept = sums[rows[i], s]
                if more > 0 and kept > _LARGEST - more:
                    sums[rows[i], s] = _LARGEST
                elif more < 0 and kept < -_LARGEST - more:
                    sums[rows[i], s] = -_LARGEST
                else:
                    sums[rows[i], s] = kept + more
