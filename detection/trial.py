"""Which customers a share means: the same ones in every process, in either lane, and in a replay."""

from typing import Final

import numpy as np
import xxhash

from ml.arrays import Flags
from ml.mixing import mixed

_LARGEST: Final = float(1 << 53)


def chosen(customers: np.ndarray, share: float, salt: str) -> Flags:
    """Which of these customers (n,) uint32, the `customer` of a `BASIS`, are among a share of all.

    Whoever is in a share is in every larger one of the same salt; by another salt it is a draw of its own.

    >>> customers = np.arange(100_000, dtype=np.uint32)
    >>> few, some = chosen(customers, 0.01, "trial"), chosen(customers, 0.1, "trial")
    >>> round(float(some.mean()), 2), bool((few & ~some).any())
    (0.1, False)
    """
    if share >= 1 or share <= 0:
        return np.full(len(customers), share >= 1)
    drawn_by = mixed(customers.astype(np.uint64) + np.uint64(xxhash.xxh3_64_intdigest(salt.encode())))
    drawn: Flags = (drawn_by >> np.uint64(11)).astype(np.float64) / _LARGEST < share
    return drawn
