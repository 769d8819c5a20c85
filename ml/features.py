"""The features of a transaction, as a fold over each customer's transactions in the order of the log.

`fold` is the one place where features come from: the streaming job, the training on history, a replay and a single
request all call it. It is pure: what it returns depends on the state and the events alone, and for any way of cutting a
log into pieces the features are the same bit for bit.
"""

import math
from typing import Final, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

RECENT: Final = 20
"""Transactions kept per customer. A sliding window is exact up to this many and saturates there."""

MILLISECOND: Final = 1
SECOND: Final = 1000 * MILLISECOND
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

FEATURES: Final = (
    "log_amount",
    "hour_of_day",
    "weekend",
    "count_10m",
    "count_1h",
    "count_24h",
    "sum_1h",
    "sum_24h",
    "amount_z",
    "amount_ratio",
    "log_seconds_since_previous",
    "distance_km",
    "speed_kmh",
    "new_merchant",
    "new_category",
    "new_country",
    "new_device",
)

CUSTOMER: Final = np.dtype(
    [
        ("id_high", "u8"),
        ("id_low", "u8"),
        ("count", "u4"),
        ("mean", "f8"),
        ("m2", "f8"),
        ("last_time", "i8"),
        ("place_time", "i8"),
        ("latitude", "f4"),
        ("longitude", "f4"),
        ("merchants", "u8", (4,)),
        ("categories", "u8"),
        ("countries", "u8"),
        ("devices", "u8"),
        ("times", "i8", (RECENT,)),
        ("amounts", "f4", (RECENT,)),
        ("transactions", "u8", (RECENT,)),
        ("positions", "i8", (RECENT,)),
    ]
)
"""One customer's state. `tobytes` is all the serialisation there is; the dtype is its schema.

id: 128-bit hash of customer_id. mean, m2: running mean and variance of the amount, weighted over the last 200. Times are
milliseconds since the epoch. merchants … devices: Bloom masks of hashes seen, with one bit a hash. times … positions:
ring buffers of the last RECENT transactions, of which `transactions` holds 64-bit hashes of transaction_id.
"""

EVENT: Final = np.dtype(
    [
        ("time", "i8"),
        ("amount", "f8"),
        ("latitude", "f4"),
        ("longitude", "f4"),
        ("transaction", "u8"),
        ("merchant", "u8"),
        ("category", "u8"),
        ("country", "u8"),
        ("device", "u8"),
        ("position", "i8"),
    ]
)
"""What the fold needs of a transaction. time: ms since the epoch; unknown places are NaN, unknown hashes 0."""

NO_POSITION: Final = -1
HISTORY: Final = -2
"""The position of an event that came from history and not from the log."""

LARGEST_AMOUNT: Final = 1e12
"""Amounts beyond this are folded as this: the square of a larger one could make a customer's variance infinite for good."""

_OFFSET_BITS: Final = 48
_MEMORY: Final = 200
_FIRST_GAP_SECONDS: Final = 30 * DAY / SECOND
_FASTEST_KMH: Final = 2000.0


class Folded(NamedTuple):
    """What a fold says of n events: features (n, len(FEATURES)) float64, late (n,) bool, duplicate_of (n,) int64.

    duplicate_of is the position of the earlier event with the same transaction_id, else NO_POSITION. A duplicate is not
    folded, and its features are all zero.
    """

    features: npt.NDArray[np.float64]
    late: npt.NDArray[np.bool_]
    duplicate_of: npt.NDArray[np.int64]


def position(partition: npt.NDArray[np.int64], offset: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """A record's identity in one integer; it sorts like (partition, offset).

    >>> place(position(np.array([3]), np.array([17]))[0])
    (3, 17)
    """
    return (partition << _OFFSET_BITS) | offset


def place(position: int) -> tuple[int, int]:
    """(partition, offset) of a position."""
    return int(position) >> _OFFSET_BITS, int(position) & ((1 << _OFFSET_BITS) - 1)


def fold(states: np.ndarray, slots: npt.NDArray[np.int64], events: np.ndarray) -> Folded:
    """Fold events, in log order, into `states` in place, and return the features that each had on arrival.

    states: (customers,) CUSTOMER, changed in place. slots: (n,) row of `states` that each event belongs to.
    events: (n,) EVENT. A feature never knows its own event's future, nor its own transaction in a count or sum.
    """
    n = len(events)
    folded = Folded(np.zeros((n, len(FEATURES))), np.zeros(n, np.bool_), np.full(n, NO_POSITION, np.int64))
    if n:
        _fold(states, slots, events, *folded)
    return folded


@numba.njit(cache=True, error_model="numpy")
def _fold(states, slots, events, features, late, duplicate_of):  # type: ignore[no-untyped-def]
    for i in range(len(events)):
        state = states[slots[i]]
        event = events[i]
        kept = min(state["count"], RECENT)
        for k in range(kept):
            if state["transactions"][k] == event["transaction"]:
                duplicate_of[i] = state["positions"][k]
        if duplicate_of[i] != NO_POSITION:
            continue
        late[i] = state["count"] > 0 and event["time"] < state["last_time"]
        _describe(state, event, kept, features[i])
        _remember(state, event)


@numba.njit(cache=True, error_model="numpy")
def _describe(state, event, kept, row):  # type: ignore[no-untyped-def]
    time, amount = event["time"], min(event["amount"], LARGEST_AMOUNT)
    row[0] = math.log1p(amount)
    row[1] = (time % DAY) / HOUR
    row[2] = 1.0 if (time // DAY + 3) % 7 >= 5 else 0.0  # the epoch was a Thursday
    for k in range(kept):
        age = time - state["times"][k]
        if 0 <= age < DAY:
            row[5] += 1
            row[7] += state["amounts"][k]
            if age < HOUR:
                row[4] += 1
                row[6] += state["amounts"][k]
                if age < 10 * MINUTE:
                    row[3] += 1
    if kept == 0:
        row[9] = 1.0
        row[10] = math.log1p(_FIRST_GAP_SECONDS)
        return
    deviation = math.sqrt(state["m2"] / min(state["count"], _MEMORY))
    row[8] = (amount - state["mean"]) / max(deviation, 0.1 * state["mean"], 1.0)
    row[9] = amount / max(state["mean"], 1.0)
    row[10] = math.log1p(max(time - state["last_time"], 0) / SECOND)
    if not (math.isnan(event["latitude"]) or math.isnan(event["longitude"]) or state["place_time"] == 0):
        row[11] = _distance_km(
            np.float64(state["latitude"]),
            np.float64(state["longitude"]),
            np.float64(event["latitude"]),
            np.float64(event["longitude"]),
        )
        gap = max(abs(time - state["place_time"]), MINUTE)
        row[12] = min(row[11] / gap * HOUR, _FASTEST_KMH)
    merchant = event["merchant"]
    row[13] = _unseen(state["merchants"][(merchant >> np.uint64(6)) & np.uint64(3)], merchant)
    row[14] = _unseen(state["categories"], event["category"])
    row[15] = _unseen(state["countries"], event["country"])
    row[16] = _unseen(state["devices"], event["device"])


@numba.njit(cache=True, error_model="numpy")
def _remember(state, event):  # type: ignore[no-untyped-def]
    k = state["count"] % RECENT
    amount = min(event["amount"], LARGEST_AMOUNT)
    state["times"][k] = event["time"]
    state["amounts"][k] = amount
    state["transactions"][k] = event["transaction"]
    state["positions"][k] = event["position"]
    first = state["count"] == 0
    state["count"] += 1
    # Welford's update; past _MEMORY transactions the oldest fade instead of weighing for ever.
    weight = min(state["count"], _MEMORY)
    delta = amount - state["mean"]
    state["mean"] += delta / weight
    grown = state["m2"] + delta * (amount - state["mean"])
    state["m2"] = grown if state["count"] <= _MEMORY else grown * (1.0 - 1.0 / _MEMORY)
    if first or event["time"] > state["last_time"]:
        state["last_time"] = event["time"]
    if not (math.isnan(event["latitude"]) or math.isnan(event["longitude"])) and (
        state["place_time"] == 0 or event["time"] >= state["place_time"]
    ):
        state["latitude"], state["longitude"], state["place_time"] = (
            event["latitude"],
            event["longitude"],
            event["time"],
        )
    merchant = event["merchant"]
    word = (merchant >> np.uint64(6)) & np.uint64(3)
    state["merchants"][word] |= _bit(merchant)
    state["categories"] |= _bit(event["category"])
    state["countries"] |= _bit(event["country"])
    state["devices"] |= _bit(event["device"])


@numba.njit(cache=True, error_model="numpy")
def _bit(value):  # type: ignore[no-untyped-def]
    return np.uint64(0) if value == 0 else np.uint64(1) << (value & np.uint64(63))


@numba.njit(cache=True, error_model="numpy")
def _unseen(mask, value):  # type: ignore[no-untyped-def]
    return 1.0 if value != 0 and mask & _bit(value) == 0 else 0.0


@numba.njit(cache=True, error_model="numpy")
def _distance_km(latitude1, longitude1, latitude2, longitude2):  # type: ignore[no-untyped-def]
    """Great-circle distance by the haversine formula (R. W. Sinnott, Sky & Telescope 68, 1984), on a 6,371 km sphere."""
    degree = math.pi / 180
    a = (
        math.sin((latitude2 - latitude1) * degree / 2) ** 2
        + math.cos(latitude1 * degree)
        * math.cos(latitude2 * degree)
        * math.sin((longitude2 - longitude1) * degree / 2) ** 2
    )
    return 2 * 6371.0 * math.asin(math.sqrt(min(1.0, a)))
