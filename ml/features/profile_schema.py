"""What is counted of a merchant or a category, what a profile keeps of it, and the names of the features that it gives."""

from typing import Final, NamedTuple

import numpy as np

BLOCK_SECONDS: Final = 3_600
"""How long a block is unless a setting says otherwise: a table is as of the last full one."""

MERCHANT: Final = 0
CATEGORY: Final = 1
KINDS: Final = ("merchant", "category")
"""The kinds of entities that have a profile, by number."""

COUNTS: Final = np.dtype(
    [
        ("kind", "u1"),
        ("entity", "u8"),
        ("block", "i8"),
        ("transactions", "i8"),
        ("newcomers", "i8"),
        ("amounts", "i8"),
        ("squares", "i8"),
    ]
)
"""Transactions of one entity in one block, counted: integers, so that adding is exact in any order.

kind: a place in KINDS. entity: the 64-bit hash of the merchant or category (`ml.features.events.hash_id`); 0 where it is
unknown: that counts in the total alone, which is of kind MERCHANT. block: event time in ms, divided by the block's length,
rounded down. newcomers: those whose customer was new to the entity (the fold's new_merchant, new_category). amounts, squares:
the sums of log amounts as `ml.features.profile_counts.quantised` gives them, and of their squares.
"""

LABEL_COUNTS: Final = np.dtype(
    [
        ("kind", "u1"),
        ("entity", "u8"),
        ("block", "i8"),
        ("transaction_block", "i8"),
        ("label_block", "i8"),
        ("frauds", "i8"),
    ]
)
"""What labels said of one entity's transactions, counted.

block: in which this became known: no table as of an earlier one has it. transaction_block: of the transactions. label_block:
in which the label that is counted came. A label that says fraud has block = label_block and frauds 1. Where that is taken back,
the same is counted with frauds -1 and the block in which that became known, so that it subtracts what was added, exactly.
"""


class Sum(NamedTuple):
    """One fading sum: what is added up, its half-life, and how it is kept.

    weight_bits: a weight is an integer of 2^weight_bits to twice that. spare_bits: so many half-lives late a record may be
    and still count exactly; what comes later is not counted in this sum.
    """

    counted: str
    days: int
    weight_bits: int = 12
    spare_bits: int = 8


SUMS: Final = (
    Sum("transactions", 1, spare_bits=16),
    Sum("transactions", 7),
    Sum("transactions", 30, 9, 4),
    Sum("frauds", 1, spare_bits=16),
    Sum("frauds", 7),
    Sum("frauds", 30, 9, 4),
    Sum("newcomers", 1, spare_bits=16),
    Sum("newcomers", 30, 9, 4),
    Sum("amounts", 30, 9, 4),
    Sum("squares", 30, 9, 4),
)
"""What a profile keeps: one integer of 64 bits each. The widths leave room for 2^33 transactions of 30 days, and for
2^34 of a day; a sum that would be more stays at the largest integer."""

COUNTED: Final = ("transactions", "newcomers", "amounts", "squares", "frauds")

AMOUNT_STEPS: Final = 16
LARGEST_STEP: Final = 255
"""Log amounts are counted in steps of 1/16, up to 255 of them (8 million)."""

PROFILE_SET: Final = "profile-1"
"""The name of PROFILE_FEATURES in this order: other features, or another meaning, have another name."""

PROFILE_FEATURES: Final = (
    "merchant_risk_1d",
    "merchant_risk_7d",
    "merchant_risk_30d",
    "merchant_frauds_7d",
    "merchant_log_transactions",
    "merchant_activity",
    "merchant_newcomer_burst",
    "merchant_amount_deviation",
    "category_risk_30d",
    "category_activity",
    "category_newcomer_burst",
    "category_amount_deviation",
)
"""The names of the features, in order; what each is: docs/features.md."""

NEUTRAL: Final = 0.0
"""Each profile feature of an entity that is unknown."""
