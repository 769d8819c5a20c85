"""The features of a transaction: how they are folded from a customer's past, and what is kept of that past."""

from ml.features.folding import Folded, fold, place, position
from ml.features.state_schema import (
    CUSTOMER,
    DAY,
    EVENT,
    FEATURE_SET,
    FEATURES,
    FOLD_VERSION,
    HISTORY,
    HOUR,
    LARGEST_AMOUNT,
    MINUTE,
    NO_POSITION,
    RECENT,
    SECOND,
)

__all__ = [
    "CUSTOMER",
    "DAY",
    "EVENT",
    "FEATURES",
    "FEATURE_SET",
    "FOLD_VERSION",
    "HISTORY",
    "HOUR",
    "LARGEST_AMOUNT",
    "MINUTE",
    "NO_POSITION",
    "RECENT",
    "SECOND",
    "Folded",
    "fold",
    "place",
    "position",
]
