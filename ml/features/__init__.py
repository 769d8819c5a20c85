"""The features of a transaction, as a fold over each customer's transactions in the order of the log.

`fold` is the one place where features come from: the streaming job, the training on history, a replay and a single
request all call it. It is pure: what it returns depends on the state and the events alone, and for any way of cutting a
log into pieces the features are the same bit for bit.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ml.features.folding import fold_events
from ml.features.state_schema import CUSTOMER as CUSTOMER
from ml.features.state_schema import DAY as DAY
from ml.features.state_schema import EVENT as EVENT
from ml.features.state_schema import FEATURE_SET as FEATURE_SET
from ml.features.state_schema import FEATURES as FEATURES
from ml.features.state_schema import FOLD_VERSION as FOLD_VERSION
from ml.features.state_schema import HISTORY as HISTORY
from ml.features.state_schema import HOUR as HOUR
from ml.features.state_schema import LARGEST_AMOUNT as LARGEST_AMOUNT
from ml.features.state_schema import MINUTE as MINUTE
from ml.features.state_schema import NO_POSITION as NO_POSITION
from ml.features.state_schema import OFFSET_BITS
from ml.features.state_schema import RECENT as RECENT
from ml.features.state_schema import SECOND as SECOND


class Folded(NamedTuple):
    """Of n events: features (n, len(FEATURES)) float64; late, order_undefined (n,) bool; duplicate_of (n,) int64.

    late: an event of the customer's that came before has a later time, and was not just early: alone, hours ahead.
    duplicate_of: the position of the earlier event with the same transaction_id, else NO_POSITION. A duplicate is not folded,
    and its features are all zero. order_undefined: the customer's records have come by two Kafka partitions by now, between
    which the log has no order; so another reading of it may fold them in another one.
    """

    features: npt.NDArray[np.float64]
    late: npt.NDArray[np.bool_]
    duplicate_of: npt.NDArray[np.int64]
    order_undefined: npt.NDArray[np.bool_]


def position(partition: npt.NDArray[np.int64], offset: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """A record's identity in one integer; it sorts like (partition, offset).

    >>> place(position(np.array([3]), np.array([17]))[0])
    (3, 17)
    """
    return (partition << OFFSET_BITS) | offset


def place(position: int) -> tuple[int, int]:
    """(partition, offset) of a position."""
    return int(position) >> OFFSET_BITS, int(position) & ((1 << OFFSET_BITS) - 1)


def fold(states: np.ndarray, slots: npt.NDArray[np.int64], events: np.ndarray) -> Folded:
    """Fold events, in log order, into `states` in place, and return the features that each had on arrival.

    states: (customers,) CUSTOMER, changed in place. slots: (n,) row of `states` that each event belongs to.
    events: (n,) EVENT. A feature never knows its own event's future, nor its own transaction in a count or sum.
    """
    n = len(events)
    folded = Folded(
        np.zeros((n, len(FEATURES))), np.zeros(n, np.bool_), np.full(n, NO_POSITION, np.int64), np.zeros(n, np.bool_)
    )
    if n:
        fold_events(states, slots, events, *folded)
    return folded
