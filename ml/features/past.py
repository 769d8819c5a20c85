"""What a customer's state keeps, compiled: the open past, sorted by event time, and the settled past, which is summed up.

When an event comes, nothing shows whether it is early or all the others are late: the fold has no clock. So it is taken in
at its time. What an event is compared with is the settled past and the entries of the open past up to its own time; an
early event therefore changes nothing before its time, and settles only what is certainly past. But what a payment made known
(a device, a new country) was known only when it came: a back-dated payment makes nothing known for longer.
"""

import math
from typing import Final

import numpy as np

from ml.compiling import compiled
from ml.features.state_schema import (
    ARRIVAL,
    CATEGORIES,
    CHANNEL_BITS,
    COUNTED_COUNTRIES,
    COUNTRIES,
    DAY,
    KNOWN_DEVICES,
    MERCHANTS,
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

MEMORY: Final = 200
_MOST_BY_COUNTRY: Final = 128
_LONGEST_SPAN: Final = 65_535
_MOST_PAYMENTS: Final = 65_535
_MOST_NEW: Final = 255
MERCHANTS_A_GENERATION: Final = MERCHANTS // 4
CATEGORIES_A_GENERATION: Final = CATEGORIES * 3 // 8
COUNTRIES_A_GENERATION: Final = COUNTRIES // 8
"""How many a mask takes in before it becomes the one before: few enough that new values still show, as a rule."""


@compiled
def slot(state, k):  # type: ignore[no-untyped-def]
    """Where entry k of the open past is, counted from the earliest."""
    return (np.int64(state["first_open"]) + k) % OPEN


@compiled
def number_of(value, most):  # type: ignore[no-untyped-def]
    """A hash as a number from 1 to most - 1; 0 for 0, which is unknown."""
    return np.int64(0) if value == 0 else np.int64(value % np.uint64(most - 1)) + 1


@compiled
def seen(masks, number):  # type: ignore[no-untyped-def]
    """Whether a number is in one of the two generations of a mask."""
    word, words = number >> 6, len(masks) // 2
    return (masks[word] | masks[words + word]) >> np.uint64(number & 63) & np.uint64(1) != 0


@compiled
def knows_device(state, device):  # type: ignore[no-untyped-def]
    """Whether the settled past knows a device."""
    known = False
    for k in range(KNOWN_DEVICES):
        known |= state["devices"][k] == device
    return known


@compiled
def take_in(mean, m2, log_mean, number, amount):  # type: ignore[no-untyped-def]
    """Welford's updates by transaction `number`; past their memory the oldest fade instead of counting for ever."""
    weight = min(number, MEMORY)
    delta = amount - mean
    mean += delta / weight
    m2 += delta * (amount - mean)
    if number > MEMORY:
        m2 *= 1.0 - 1.0 / MEMORY
    return mean, m2, log_mean + (math.log1p(amount) - log_mean) / weight


@compiled
def usual_at(state, time):  # type: ignore[no-untyped-def]
    """(mean, m2, log_mean) of the settled past and of the open past up to a time, each entry as one of its mean amount."""
    usual = state["mean"], state["m2"], state["log_mean"]
    border = state["newest"] - SETTLED_AFTER
    number = np.int64(state["settled"])
    for k in range(state["open"]):
        s = slot(state, k)
        if state["times"][s] > time:
            break
        if state["times"][s] > border:
            number += 1
            usual = take_in(usual[0], usual[1], usual[2], number, _mean_amount(state, s))
    return usual


@compiled
def _mean_amount(state, s):  # type: ignore[no-untyped-def]
    return np.float64(state["amounts"][s]) / state["payments"][s]


@compiled
def settle(state, time):  # type: ignore[no-untyped-def]
    """An event of this time has come: what lies long enough before it is past for whatever may still come."""
    if state["count"] > 0 and time <= state["newest"]:
        return
    settled_before, border = state["newest"] - SETTLED_AFTER, time - SETTLED_AFTER
    state["newest"] = time
    k, entries = 0, np.int64(state["open"])
    while k < entries and state["times"][slot(state, k)] <= settled_before:
        k += 1
    guests = k
    while k < entries and state["times"][slot(state, k)] <= border:
        _teach(state, slot(state, k))
        k += 1
    if k > guests:
        for _ in range(k):
            _take_out_earliest(state)


@compiled
def _teach(state, s):  # type: ignore[no-untyped-def]
    """The settled past takes in the entry at s, which is later than all that it has taken in before."""
    number = np.int64(state["settled"]) + 1
    state["mean"], state["m2"], state["log_mean"] = take_in(
        state["mean"], state["m2"], state["log_mean"], number, _mean_amount(state, s)
    )
    state["settled"] = min(number, MEMORY + 1)
    state["last_time"] = state["times"][s]
    if state["latitudes"][s] != NO_PLACE:
        state["latitude"], state["longitude"] = state["latitudes"][s], state["longitudes"][s]
        state["place_time"] = state["times"][s]
    _mark(state["merchants"], np.int64(state["open_merchants"][s]), MERCHANTS_A_GENERATION)
    _mark(state["categories"], np.int64(state["open_categories"][s]), CATEGORIES_A_GENERATION)
    _mark(state["countries"], np.int64(state["open_countries"][s]), COUNTRIES_A_GENERATION)
    device = state["open_devices"][s]
    known = device == 0 or number == 1 or knows_device(state, device)
    _get_to_know(state, device)
    if state["kinds"][s] & NEW_DEVICE or not known:
        state["new_device"] = state["open_devices"][s]
        state["new_device_time"] = _known_since(state, s)
    country = state["open_countries"][s] % COUNTED_COUNTRIES
    state["by_country"][country] += 1
    if state["by_country"][country] == _MOST_BY_COUNTRY:
        for k in range(COUNTED_COUNTRIES):
            state["by_country"][k] >>= 1


@compiled
def _known_since(state, s):  # type: ignore[no-untyped-def]
    """When the device of the entry at s was first seen: with it, or where it came more than a day late, when it came."""
    since = state["times"][s]
    if state["kinds"][s] & NEW_DEVICE:
        since -= np.int64(state["spans"][s]) * SECOND
    for k in range(state["open"]):
        x = slot(state, k)
        if came_at(state, x) < came_at(state, s) and state["times"][x] - state["times"][s] > DAY:
            since = state["times"][x]
    return since


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
def _take_out_earliest(state):  # type: ignore[no-untyped-def]
    """Remove the earliest entry, and close the gap that it leaves in the order of arrival."""
    came = came_at(state, slot(state, 0))
    state["first_open"] = slot(state, 1)
    state["open"] -= 1
    for k in range(state["open"]):
        s = slot(state, k)
        if came_at(state, s) > came:
            state["kinds"][s] -= ARRIVAL


@compiled
def _mark(masks, number, most):  # type: ignore[no-untyped-def]
    """Into the current generation; where it has `most` already, it becomes the one before, and the one before is dropped."""
    bit = np.uint64(1) << np.uint64(number & 63)
    word, words = number >> 6, len(masks) // 2
    if number == 0 or masks[word] & bit:
        return
    marked = 0
    for k in range(words):
        rest = masks[k]
        while rest:
            rest &= rest - np.uint64(1)
            marked += 1
    if marked >= most:
        for k in range(words):
            masks[words + k], masks[k] = masks[k], 0
    masks[word] |= bit


@compiled
def _get_to_know(state, device):  # type: ignore[no-untyped-def]
    """Put a device first among those known; the one that was used longest ago is dropped."""
    if device == 0 or state["devices"][0] == device:
        return
    k = 1
    while k < KNOWN_DEVICES - 1 and state["devices"][k] != device:
        k += 1
    while k > 0:
        state["devices"][k] = state["devices"][k - 1]
        k -= 1
    state["devices"][0] = device


@compiled
def make_room(state, time):  # type: ignore[no-untyped-def]
    """For an event of this time: 0 where there is room, 1 where entries were joined for it, -1 where it gets none."""
    if state["open"] < OPEN:
        return 0
    border, oldest = state["newest"] - SETTLED_AFTER, state["times"][slot(state, 0)]
    if oldest <= border:
        if time < oldest:
            return -1
        _take_out_earliest(state)
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
    _take_out_earliest(state)


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
