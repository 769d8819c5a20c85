"""The open past of a customer, compiled: a ring of entries in the order of event time; where room is needed, two become one."""

from typing import Final

import numpy as np

from ml.compiling import compiled
from ml.features.state_schema import (
    ARRIVAL,
    CHANNEL_BITS,
    MIXED,
    MOST_NEW_COUNTRIES,
    MOST_SMALL,
    NEW_DEVICE,
    NO_PLACE,
    OPEN,
    SECOND,
    SETTLED_AFTER,
    SMALL,
)

_LONGEST_SPAN: Final = 65_535
_MOST_PAYMENTS: Final = 65_535
_MOST_NEW: Final = 255


@compiled
def slot(state, k):  # type: ignore[no-untyped-def]
    """Where entry k of the open past is, counted from the earliest."""
    return (np.int64(state["first_open"]) + k) % OPEN


@compiled
def came_at(state, s):  # type: ignore[no-untyped-def]
    """How many entries of the open past came before the one at s."""
    return state["kinds"][s] // ARRIVAL


@compiled
def learned_at(state, k, time):  # type: ignore[no-untyped-def]
    """When entry k made known what it did, as of a time: at the latest that had come before it, up to that time."""
    s = slot(state, k)
    for later in range(np.int64(state["open"]) - 1, k, -1):
        x = slot(state, later)
        if state["times"][x] <= time and came_at(state, x) < came_at(state, s):
            return state["times"][x]
    return state["times"][s]


@compiled
def new_countries(state, s):  # type: ignore[no-untyped-def]
    """How many transactions of the entry at s were in a country that was new."""
    return np.int64(state["new_countries_and_small"][s]) % SMALL


@compiled
def small(state, s):  # type: ignore[no-untyped-def]
    """How many transactions of the entry at s were small when they came."""
    return np.int64(state["new_countries_and_small"][s]) // SMALL


@compiled
def _begin(state, k):  # type: ignore[no-untyped-def]
    s = slot(state, k)
    return state["times"][s] - np.int64(state["spans"][s]) * SECOND


@compiled
def move(state, source, target):  # type: ignore[no-untyped-def]
    """Copy the entry at one place of the ring to another."""
    state["times"][target] = state["times"][source]
    state["spans"][target] = state["spans"][source]
    state["amounts"][target] = state["amounts"][source]
    state["payments"][target] = state["payments"][source]
    state["new_merchants"][target] = state["new_merchants"][source]
    state["new_countries_and_small"][target] = state["new_countries_and_small"][source]
    state["kinds"][target] = state["kinds"][source]
    state["open_merchants"][target] = state["open_merchants"][source]
    state["open_categories"][target] = state["open_categories"][source]
    state["open_countries"][target] = state["open_countries"][source]
    state["open_devices"][target] = state["open_devices"][source]
    state["latitudes"][target] = state["latitudes"][source]
    state["longitudes"][target] = state["longitudes"][source]


@compiled
def take_out_earliest(state):  # type: ignore[no-untyped-def]
    """Remove the earliest entry, and close the gap that it leaves in the order of arrival."""
    came = came_at(state, slot(state, 0))
    state["first_open"] = slot(state, 1)
    state["open"] -= 1
    for k in range(state["open"]):
        s = slot(state, k)
        if came_at(state, s) > came:
            state["kinds"][s] -= ARRIVAL


@compiled
def make_room(state, time):  # type: ignore[no-untyped-def]
    """For an event of this time: 0 where there is room, 1 where entries were joined for it, -1 where it gets none."""
    if state["open"] < OPEN:
        return 0
    border, oldest = state["newest"] - SETTLED_AFTER, state["times"][slot(state, 0)]
    if oldest <= border:
        if time < oldest:
            return -1
        take_out_earliest(state)
        return 0
    if time <= border:
        return -1
    _join_closest(state)
    return 1


@compiled
def _join_closest(state):  # type: ignore[no-untyped-def]
    """Make one entry of the two neighbours that lie closest together, so that no payment is lost and few become vague."""
    best, shortest = 0, np.iinfo(np.int64).max
    for k in range(state["open"] - 1):
        length = state["times"][slot(state, k + 1)] - _begin(state, k)
        if length < shortest:
            best, shortest = k, length
    s, t = slot(state, best), slot(state, best + 1)
    first = min(_begin(state, best), _begin(state, best + 1))
    state["spans"][t] = min(-((first - state["times"][t]) // SECOND), _LONGEST_SPAN)
    if state["open_devices"][s] == state["open_devices"][t]:
        state["kinds"][t] |= state["kinds"][s] & NEW_DEVICE
    elif state["settled"] > 0 and state["kinds"][t] & NEW_DEVICE:
        state["kinds"][t] -= NEW_DEVICE  # it was first seen when the entry ends, not when it begins
    if state["kinds"][s] & CHANNEL_BITS != state["kinds"][t] & CHANNEL_BITS:
        state["kinds"][t] |= MIXED
    if state["latitudes"][t] == NO_PLACE:
        state["latitudes"][t], state["longitudes"][t] = state["latitudes"][s], state["longitudes"][s]
    if came_at(state, s) > came_at(state, t):
        came = (came_at(state, s) - came_at(state, t)) * ARRIVAL
        state["kinds"][s] -= came
        state["kinds"][t] += came
    state["amounts"][t] += state["amounts"][s]
    state["payments"][t] = min(np.int64(state["payments"][t]) + state["payments"][s], _MOST_PAYMENTS)
    state["new_merchants"][t] = min(np.int64(state["new_merchants"][t]) + state["new_merchants"][s], _MOST_NEW)
    state["new_countries_and_small"][t] = min(new_countries(state, t) + new_countries(state, s), MOST_NEW_COUNTRIES) + (
        SMALL * min(small(state, t) + small(state, s), MOST_SMALL)
    )
    came = state["kinds"][s]
    for k in range(best, 0, -1):
        move(state, slot(state, k - 1), slot(state, k))
    state["kinds"][slot(state, 0)] = came
    take_out_earliest(state)
