"""The features of a transaction, as a fold over each customer's transactions in the order of the log.

`fold` is the one place where features are computed: the streaming job, the training on history, a replay and a single
request all call it. It is pure: what it returns depends on the state and the events alone, and for any way of cutting a
log into pieces the features are the same bit for bit.

Why our own: libraries of streaming features call Python for each event, and keep a state that is no plain bytes.
"""

from typing import Final, NamedTuple

import numpy as np

from ml.arrays import Flags, Floats, Ints
from ml.compiling import compiled
from ml.features.computing import compute
from ml.features.entries import make_room, move, slot
from ml.features.past import number_of, settle, take_in, usual_at
from ml.features.places import stepped
from ml.features.prefetch import LINE, prefetch
from ml.features.state_schema import (
    ARRIVAL,
    CATEGORIES,
    COUNTRIES,
    DEVICES,
    FEATURES,
    LARGEST_AMOUNT,
    MERCHANTS,
    NEW_DEVICE,
    NO_POSITION,
    OFFSET_BITS,
    RECENT,
    SETTLED_AFTER,
    SMALL,
)

_AHEAD: Final = 4
"""Events ahead of the one that is folded, whose state is asked for."""

_NEW_MERCHANT, _NEW_COUNTRY, _NEW_DEVICE = map(FEATURES.index, ("new_merchant", "new_country", "new_device"))


class Folded(NamedTuple):
    """Of n events: features (n, len(FEATURES)) float64; late, order_undefined (n,) bool; duplicate_of (n,) int64.

    late: an event of the customer's that came before has a later time, and was not just early (alone, hours ahead).
    duplicate_of: the position of the earlier event with the same transaction_id, else NO_POSITION. A duplicate is not folded,
    and its features are all zero. order_undefined: the customer's records have come by two Kafka partitions by now, between
    which the log has no order; so another reading of it may fold them in another one.
    """

    features: Floats
    late: Flags
    duplicate_of: Ints
    order_undefined: Flags


def position(partition: Ints, offset: Ints) -> Ints:
    """A record's identity in one integer; it sorts like (partition, offset).

    >>> place(position(np.array([3]), np.array([17]))[0])
    (3, 17)
    """
    return (partition << OFFSET_BITS) | offset


def place(position: int) -> tuple[int, int]:
    """(partition, offset) of a position."""
    return int(position) >> OFFSET_BITS, int(position) & ((1 << OFFSET_BITS) - 1)


def fold(states: np.ndarray, slots: Ints, events: np.ndarray) -> Folded:
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


@compiled
def fold_events(states, slots, events, features, late, duplicate_of, order_undefined):  # type: ignore[no-untyped-def]
    """See `fold`; features (n, len(FEATURES)) and the others (n,) are written to."""
    begin, size = states.ctypes.data, states.itemsize
    for i in range(len(events)):
        if i + _AHEAD < len(events):
            coming = begin + slots[i + _AHEAD] * size
            for line in range(0, size, LINE):
                prefetch(coming + line)  # type: ignore[call-arg]
        state = states[slots[i]]
        event = events[i]
        order_undefined[i] = _came_by_another_way(state, event["position"])
        for k in range(min(state["count"], RECENT)):
            if state["transactions"][k] == event["transaction"]:
                duplicate_of[i] = state["positions"][k]
        if duplicate_of[i] != NO_POSITION:
            continue
        settle(state, event["time"])
        late[i], limit = compute(state, event, features[i])
        _remember(state, event, features[i], limit)


@compiled
def _came_by_another_way(state, position):  # type: ignore[no-untyped-def]
    """Whether the customer's records have come by two Kafka partitions by now: the log has no order between those."""
    if position >= 0:
        partition = (position >> OFFSET_BITS) + 1
        if state["partition"] == 0:
            state["partition"] = partition
        elif state["partition"] != partition:
            state["order_undefined"] = 1
    return state["order_undefined"] != 0


@compiled
def _remember(state, event, row, limit):  # type: ignore[no-untyped-def]
    k = state["count"] % RECENT
    state["transactions"][k] = event["transaction"]
    state["positions"][k] = event["position"]
    state["count"] += 1
    time = event["time"]
    joined = make_room(state, time)
    if joined < 0:
        return
    entries = np.int64(state["open"])
    k = entries
    while k > 0 and state["times"][slot(state, k - 1)] > time:
        move(state, slot(state, k - 1), slot(state, k))
        k -= 1
    _enter(state, slot(state, k), event, row)
    state["kinds"][slot(state, k)] += ARRIVAL * entries
    state["new_countries_and_small"][slot(state, k)] += SMALL * (event["amount"] < limit)
    state["open"] = entries + 1
    if time <= state["newest"] - SETTLED_AFTER:
        return
    if k == entries and joined == 0:
        number = _taught(state)
        usual = take_in(
            state["mean_now"],
            state["m2_now"],
            state["log_mean_now"],
            number,
            np.float64(state["amounts"][slot(state, k)]),
        )
    else:
        usual = usual_at(state, state["newest"])
    state["mean_now"], state["m2_now"], state["log_mean_now"] = usual


@compiled
def _taught(state):  # type: ignore[no-untyped-def]
    """How many entries have been taken into what is usual now."""
    number, border = np.int64(state["settled"]), state["newest"] - SETTLED_AFTER
    for k in range(state["open"]):
        number += state["times"][slot(state, k)] > border
    return number


@compiled
def _enter(state, s, event, row):  # type: ignore[no-untyped-def]
    """Write an event into the open past, at s."""
    state["times"][s] = event["time"]
    state["spans"][s] = 0
    state["amounts"][s] = min(event["amount"], LARGEST_AMOUNT)
    state["payments"][s] = 1
    state["new_merchants"][s] = row[_NEW_MERCHANT]
    state["new_countries_and_small"][s] = row[_NEW_COUNTRY]
    state["kinds"][s] = event["channel"] + NEW_DEVICE * row[_NEW_DEVICE]
    state["open_merchants"][s] = number_of(event["merchant"], MERCHANTS)
    state["open_categories"][s] = number_of(event["category"], CATEGORIES)
    state["open_countries"][s] = number_of(event["country"], COUNTRIES)
    state["open_devices"][s] = number_of(event["device"], DEVICES)
    state["latitudes"][s], state["longitudes"][s] = stepped(event)
