"""From transactions and labels to counts by entity and block, and which block is the last full one."""

from typing import Final

import numpy as np

from ml.arrays import Flags, Floats, Hashes, Ints
from ml.features.profile_schema import AMOUNT_STEPS, CATEGORY, COUNTS, LABEL_COUNTS, LARGEST_STEP, MERCHANT
from ml.features.state_schema import FEATURES, SECOND

_LOG_AMOUNT, _NEW_MERCHANT, _NEW_CATEGORY = map(FEATURES.index, ("log_amount", "new_merchant", "new_category"))
_USUAL_TRAFFIC_SHARE: Final = 0.05


def blocks_of(times: Ints, block_seconds: int) -> Ints:
    """The block of each time (n,) in ms since the epoch: rounded down, so that times before 1970 have negative ones."""
    return times // (block_seconds * SECOND)


def quantised(log_amount: Floats) -> Ints:
    """Log amounts in steps of 1/16, rounded to the nearest, a half up; from 0 to 255, also where no amount has this logarithm.

    >>> quantised(np.array([0.0, 0.03125, 3.2, 27.6]))
    array([  0,   1,  51, 255])
    """
    possible = np.clip(log_amount, 0, LARGEST_STEP / AMOUNT_STEPS)
    return np.floor(possible * AMOUNT_STEPS + 0.5).astype(np.int64)


def transaction_counts(merchant: Hashes, category: Hashes, block: Ints, features: Floats) -> np.ndarray:
    """COUNTS of n transactions, those of merchants and those of categories: sorted, none twice.

    features: (n, len(FEATURES)), as the fold made them. A duplicate that was not folded must not be among them.
    """
    step = quantised(features[:, _LOG_AMOUNT])
    out = np.zeros(2 * len(block), COUNTS)
    for kind, entity, new in ((MERCHANT, merchant, _NEW_MERCHANT), (CATEGORY, category, _NEW_CATEGORY)):
        of_kind = out[kind * len(block) : (kind + 1) * len(block)]
        of_kind["kind"], of_kind["entity"], of_kind["block"] = kind, entity, block
        of_kind["transactions"], of_kind["newcomers"] = 1, features[:, new] != 0
        of_kind["amounts"], of_kind["squares"] = step, step * step
    return added_up(out)


def label_counts(
    merchant: Hashes, category: Hashes, transaction_block: Ints, label_block: Ints, known_block: Ints, frauds: Ints
) -> np.ndarray:
    """LABEL_COUNTS of n changes of what labels say, each (n,), for merchants and categories: sorted, none twice.

    frauds: 1 where a transaction became known as fraud, -1 where that was taken back. See LABEL_COUNTS for the blocks.
    """
    out = np.zeros(2 * len(frauds), LABEL_COUNTS)
    for kind, entity in ((MERCHANT, merchant), (CATEGORY, category)):
        of_kind = out[kind * len(frauds) : (kind + 1) * len(frauds)]
        of_kind["kind"], of_kind["entity"], of_kind["block"] = kind, entity, known_block
        of_kind["transaction_block"], of_kind["label_block"], of_kind["frauds"] = (
            transaction_block,
            label_block,
            frauds,
        )
    return added_up(out)


def added_up(*counts: np.ndarray) -> np.ndarray:
    """COUNTS, or LABEL_COUNTS, of several as one: sorted, each entity and block (of labels: and blocks) once."""
    joined = np.concatenate(counts)
    names: tuple[str, ...] = joined.dtype.names  # type: ignore[assignment]  # both have names
    keys = [name for name in names if name in ("kind", "entity") or name.endswith("block")]
    order = np.lexsort([joined[name] for name in reversed(keys)])
    joined = joined[order]
    first = _first_of_each(joined, keys)
    out = joined[first]
    for name in names:
        if name not in keys and len(out):
            out[name] = np.add.reduceat(joined[name], np.flatnonzero(first))
    return out


def _first_of_each(sorted_counts: np.ndarray, keys: list[str]) -> Flags:
    first = np.ones(len(sorted_counts), np.bool_)
    if len(first):
        first[1:] = False
        for name in keys:
            first[1:] |= sorted_counts[name][1:] != sorted_counts[name][:-1]
    return first


def last_full_block(blocks: Ints, transactions: Ints, block_seconds: int) -> int | None:
    """The last full block of a traffic of so many transactions (n,) in blocks (n,), a block perhaps several times; None: none.

    It is the one before the highest block at or beyond which lies 5 % of a usual block's traffic. So a few records that are
    dated ahead (the contract allows a day) do not move it. Usual is the traffic of the block that a transaction of the three
    days before was in, on average: the sum of squares by the sum. Give it the counts of at least the last five days. More
    counts may give an earlier block; a table never goes back.
    """
    block, place = np.unique(blocks, return_inverse=True)
    traffic = np.zeros(len(block), np.float64)
    np.add.at(traffic, place, transactions)
    beyond = np.cumsum(traffic[::-1])[::-1]
    window = max(1, 3 * 86_400 // block_seconds)
    start = np.searchsorted(block, block - window)
    until = np.arange(len(block))
    sums, squares = (np.concatenate([[0.0], np.cumsum(x)]) for x in (traffic, traffic**2))
    with np.errstate(invalid="ignore", divide="ignore"):
        usual = (squares[until] - squares[start]) / (sums[until] - sums[start])
    enough = np.flatnonzero(beyond >= _USUAL_TRAFFIC_SHARE * np.nan_to_num(usual, nan=0.0))
    before = enough[until[enough] > start[enough]]
    return int(block[before[-1]]) - 1 if len(before) else None
