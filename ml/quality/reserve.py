"""Which transactions that were not alerted are reviewed all the same, at random, so that what is missed becomes known."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import xxhash

from ml.arrays import Flags

MOST: Final = 0.01
"""The largest share of non-alerts that may be reserved for review."""

_SEED: Final = 0x2E5E


def draw(transaction_id: str) -> float:
    """A number in [0, 1) that depends on the transaction alone, so that each process and each repetition says the same.

    >>> draw("T1") == draw("T1"), 0 <= draw("T2") < 1
    (True, True)
    """
    return xxhash.xxh3_64_intdigest(transaction_id.encode(), _SEED) / 2**64


def in_reserve(transaction_ids: Sequence[str], share: float) -> Flags:
    """(n,) which of n transactions are reserved for review, if they are not alerted. A larger share reserves more, and all of
    a smaller one's too. Raises ValueError unless 0 ≤ share ≤ MOST."""
    if not 0 <= share <= MOST:
        raise ValueError(f"the share that is reserved for review is from 0 to {MOST}, not {share:g}")
    return np.array([draw(each) < share for each in transaction_ids], np.bool_)
