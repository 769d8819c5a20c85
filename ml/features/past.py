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
from ml.features.entries import came_at, slot, take_out_earliest
from ml.features.state_schema import (
    CATEGORIES,
    COUNTED_COUNTRIES,
    COUNTRIES,
    DAY,
    KNOWN_DEVICES,
    MERCHANTS,
    NEW_DEVICE,
    NO_PLACE,
    SECOND,
    SETTLED_AFTER,
)

MEMORY: Final = 200
_MOST_BY_COUNTRY: Final = 128
MERCHANTS_A_GENERATION: Final = MERCHANTS // 4
CATEGORIES_A_GENERATION: Final = CATEGORIES * 3 // 8
COUNTRIES_A_GENERATION: Final = COUNTRIES // 8
"""How many a mask takes in before it becomes the one before: few enough that new values still show, as a rule."""


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
            take_out_earliest(state)


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
