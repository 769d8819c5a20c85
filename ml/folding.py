"""The arithmetic of the fold, compiled: what each event's features are, and what a customer's state becomes."""

import math
from typing import Final

import numba
import numpy as np

from ml.layout import (
    CHANNEL_BITS,
    COUNTRIES,
    DAY,
    FEATURES,
    HOUR,
    LARGEST_AMOUNT,
    MINUTE,
    NEW_COUNTRY,
    NEW_MERCHANT,
    NO_POSITION,
    RECENT,
    SECOND,
)

_MEMORY: Final = 200
_FIRST_GAP: Final = math.log1p(30 * DAY / SECOND)
_OLD: Final = math.log1p(365 * DAY / SECOND)
_FASTEST_KMH: Final = 2000.0
_SMALL: Final = 0.2
_MOST_BY_COUNTRY: Final = 128
_CENTS_A_STEP: Final = (100, 1_000, 5_000)

(
    _LOG_AMOUNT,
    _HOUR_OF_DAY,
    _WEEKEND,
    _COUNT_10M,
    _COUNT_1H,
    _COUNT_24H,
    _SUM_1H,
    _SUM_24H,
    _AMOUNT_Z,
    _AMOUNT_RATIO,
    _LOG_SECONDS_SINCE_PREVIOUS,
    _DISTANCE_KM,
    _SPEED_KMH,
    _NEW_MERCHANT,
    _NEW_CATEGORY,
    _NEW_COUNTRY,
    _NEW_DEVICE,
    _CHANNEL_NUMBER,
    _NO_DEVICE,
    _ROUNDNESS,
    _SMALL_COUNT_1H,
    _CHANNEL_COUNT_24H,
    _FIRST_MERCHANTS_24H,
    _FIRST_COUNTRIES_24H,
    _LOG_AMOUNT_RATIO,
    _COUNTRY_SHARE,
    _LOG_DEVICE_AGE_SECONDS,
) = range(len(FEATURES))


@numba.njit(cache=True, error_model="numpy")
def fold_events(states, slots, events, features, late, duplicate_of):  # type: ignore[no-untyped-def]
    """See `ml.features.fold`; features (n, len(FEATURES)), late (n,) and duplicate_of (n,) are written to."""
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
        _remember(state, event, features[i])


@numba.njit(cache=True, error_model="numpy")
def _describe(state, event, kept, row):  # type: ignore[no-untyped-def]
    time, amount = event["time"], min(event["amount"], LARGEST_AMOUNT)
    row[_LOG_AMOUNT] = math.log1p(amount)
    row[_HOUR_OF_DAY] = (time % DAY) / HOUR
    row[_WEEKEND] = 1.0 if (time // DAY + 3) % 7 >= 5 else 0.0  # the epoch was a Thursday
    row[_CHANNEL_NUMBER] = event["channel"]
    row[_NO_DEVICE] = 1.0 if event["device"] == 0 else 0.0
    row[_ROUNDNESS] = _roundness(amount)
    row[_LOG_DEVICE_AGE_SECONDS] = _OLD
    if kept == 0:
        row[_AMOUNT_RATIO] = row[_COUNTRY_SHARE] = 1.0
        row[_LOG_SECONDS_SINCE_PREVIOUS] = _FIRST_GAP
        return
    _look_back(state, event, kept, row)
    deviation = math.sqrt(state["m2"] / min(state["count"], _MEMORY))
    row[_AMOUNT_Z] = (amount - state["mean"]) / max(deviation, 0.1 * state["mean"], 1.0)
    row[_AMOUNT_RATIO] = amount / max(state["mean"], 1.0)
    row[_LOG_AMOUNT_RATIO] = row[_LOG_AMOUNT] - state["log_mean"]
    row[_LOG_SECONDS_SINCE_PREVIOUS] = math.log1p(max(time - state["last_time"], 0) / SECOND)
    _travel(state, event, row)
    merchant = event["merchant"]
    row[_NEW_MERCHANT] = _unseen(state["merchants"][(merchant >> np.uint64(6)) & np.uint64(3)], merchant)
    row[_NEW_CATEGORY] = _unseen(state["categories"], event["category"])
    row[_NEW_COUNTRY] = _unseen(state["countries"], event["country"])
    row[_NEW_DEVICE] = _unseen(state["devices"], event["device"])
    if row[_NEW_DEVICE]:
        row[_LOG_DEVICE_AGE_SECONDS] = 0.0
    elif event["device"] != 0 and event["device"] == state["new_device"]:
        row[_LOG_DEVICE_AGE_SECONDS] = min(math.log1p(max(time - state["new_device_time"], 0) / SECOND), _OLD)


@numba.njit(cache=True, error_model="numpy")
def _look_back(state, event, kept, row):  # type: ignore[no-untyped-def]
    """What the transactions in memory say of the day and the hour before, and of the countries of all payments."""
    small = _SMALL * math.expm1(state["log_mean"])
    for k in range(kept):
        age, amount, kind = event["time"] - state["times"][k], state["amounts"][k], state["kinds"][k]
        if 0 <= age < DAY:
            row[_COUNT_24H] += 1
            row[_SUM_24H] += amount
            row[_CHANNEL_COUNT_24H] += kind & CHANNEL_BITS == event["channel"]
            row[_FIRST_MERCHANTS_24H] += kind & NEW_MERCHANT
            row[_FIRST_COUNTRIES_24H] += kind & NEW_COUNTRY
            if age < HOUR:
                row[_COUNT_1H] += 1
                row[_SUM_1H] += amount
                row[_SMALL_COUNT_1H] += amount < small
                if age < 10 * MINUTE:
                    row[_COUNT_10M] += 1
    row[_FIRST_MERCHANTS_24H] /= NEW_MERCHANT
    row[_FIRST_COUNTRIES_24H] /= NEW_COUNTRY
    payments = 0
    for k in range(COUNTRIES):
        payments += state["by_country"][k]
    row[_COUNTRY_SHARE] = state["by_country"][event["country"] % np.uint64(COUNTRIES)] / payments


@numba.njit(cache=True, error_model="numpy")
def _travel(state, event, row):  # type: ignore[no-untyped-def]
    if math.isnan(event["latitude"]) or math.isnan(event["longitude"]) or state["place_time"] == 0:
        return
    row[_DISTANCE_KM] = _distance_km(
        np.float64(state["latitude"]),
        np.float64(state["longitude"]),
        np.float64(event["latitude"]),
        np.float64(event["longitude"]),
    )
    gap = max(abs(event["time"] - state["place_time"]), MINUTE)
    row[_SPEED_KMH] = min(row[_DISTANCE_KM] / gap * HOUR, _FASTEST_KMH)


@numba.njit(cache=True, error_model="numpy")
def _remember(state, event, row):  # type: ignore[no-untyped-def]
    k = state["count"] % RECENT
    time, amount = event["time"], min(event["amount"], LARGEST_AMOUNT)
    state["times"][k] = time
    state["amounts"][k] = amount
    state["transactions"][k] = event["transaction"]
    state["positions"][k] = event["position"]
    state["kinds"][k] = event["channel"] + NEW_MERCHANT * row[_NEW_MERCHANT] + NEW_COUNTRY * row[_NEW_COUNTRY]
    first = state["count"] == 0
    state["count"] += 1
    _take_into_usual(state, row, amount)
    if first or time > state["last_time"]:
        state["last_time"] = time
    if not (math.isnan(event["latitude"]) or math.isnan(event["longitude"])) and (
        state["place_time"] == 0 or time >= state["place_time"]
    ):
        state["latitude"], state["longitude"], state["place_time"] = event["latitude"], event["longitude"], time
    merchant = event["merchant"]
    word = (merchant >> np.uint64(6)) & np.uint64(3)
    state["merchants"][word] |= _bit(merchant)
    state["categories"] |= _bit(event["category"])
    state["countries"] |= _bit(event["country"])
    state["devices"] |= _bit(event["device"])
    if row[_NEW_DEVICE]:
        state["new_device"], state["new_device_time"] = event["device"], time
    country = event["country"] % np.uint64(COUNTRIES)
    state["by_country"][country] += 1
    if state["by_country"][country] == _MOST_BY_COUNTRY:
        for k in range(COUNTRIES):
            state["by_country"][k] >>= 1


@numba.njit(cache=True, error_model="numpy")
def _take_into_usual(state, row, amount):  # type: ignore[no-untyped-def]
    """Welford's updates; past their memory the oldest transactions fade instead of weighing for ever."""
    weight = min(state["count"], _MEMORY)
    delta = amount - state["mean"]
    state["mean"] += delta / weight
    grown = state["m2"] + delta * (amount - state["mean"])
    state["m2"] = grown if state["count"] <= _MEMORY else grown * (1.0 - 1.0 / _MEMORY)
    state["log_mean"] += (row[_LOG_AMOUNT] - state["log_mean"]) / weight


@numba.njit(cache=True, error_model="numpy")
def _roundness(amount):  # type: ignore[no-untyped-def]
    """How round an amount is: 0 with cents, 1 where it is whole, 2 and 3 a multiple of 10 and of 50; 0 for nothing."""
    cents = np.int64(round(amount * 100))
    steps = 0.0
    if cents:
        for step in _CENTS_A_STEP:
            steps += cents % step == 0
    return steps


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
