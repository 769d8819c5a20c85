"""The arithmetic of the features, compiled: what an event is, compared with what a customer's state knows."""

import math
from typing import Final

import numpy as np

from ml.compiling import compiled
from ml.features.entries import came_at, learned_at, new_countries, slot, small
from ml.features.past import MEMORY, knows_device, number_of, seen, usual_at
from ml.features.places import distance_km, stepped
from ml.features.state_schema import (
    CATEGORIES,
    CHANNEL_BITS,
    COUNTED_COUNTRIES,
    COUNTRIES,
    DAY,
    DEVICES,
    FEATURES,
    HOUR,
    LARGEST_AMOUNT,
    LATITUDE_STEP,
    LONGITUDE_STEP,
    MERCHANTS,
    MINUTE,
    MIXED,
    NEW_DEVICE,
    NO_PLACE,
    OPEN,
    SECOND,
    SETTLED_AFTER,
)

_FIRST_GAP: Final = math.log1p(30 * DAY / SECOND)
_OLD: Final = math.log1p(365 * DAY / SECOND)
_FASTEST_KMH: Final = 2000.0
_SMALL: Final = 0.2
_NEVER: Final = np.iinfo(np.int64).min
_BELIEVABLE_DELAY: Final = 6 * HOUR
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


@compiled
def compute(state, event, row):  # type: ignore[no-untyped-def]
    """Write an event's features, and return whether it is late, and below which amount a payment is small by now."""
    time, amount = event["time"], min(event["amount"], LARGEST_AMOUNT)
    row[_LOG_AMOUNT] = math.log1p(amount)
    row[_HOUR_OF_DAY] = (time % DAY) / HOUR
    row[_WEEKEND] = 1.0 if (time // DAY + 3) % 7 >= 5 else 0.0  # the epoch was a Thursday
    row[_CHANNEL_NUMBER] = event["channel"]
    row[_NO_DEVICE] = 1.0 if event["device"] == 0 else 0.0
    row[_ROUNDNESS] = roundness(amount)
    row[_LOG_DEVICE_AGE_SECONDS] = _OLD
    known, late, limit = _look_back(state, event, row)
    if known == 0:
        row[_AMOUNT_RATIO] = row[_COUNTRY_SHARE] = 1.0
        row[_LOG_SECONDS_SINCE_PREVIOUS] = _FIRST_GAP
    return late, limit


@compiled
def _look_back(state, event, row):  # type: ignore[no-untyped-def]
    """The features that the past up to the event's time makes: (how many transactions it knows of, whether it is late, limit).

    limit: the amount below which a payment is small.
    An entry counts in each window that it may reach into, so that none misses a payment.
    """
    time, border = event["time"], state["newest"] - SETTLED_AFTER
    merchant, category = number_of(event["merchant"], MERCHANTS), number_of(event["category"], CATEGORIES)
    country, device = number_of(event["country"], COUNTRIES), number_of(event["device"], DEVICES)
    if time >= state["newest"]:
        mean, m2, log_mean = state["mean_now"], state["m2_now"], state["log_mean_now"]
    else:
        mean, m2, log_mean = usual_at(state, time)
    limit = _SMALL * math.expm1(log_mean)
    known, in_country = np.int64(state["settled"]), 0
    new_merchant, new_category = not seen(state["merchants"], merchant), not seen(state["categories"], category)
    new_country, new_device = not seen(state["countries"], country), not knows_device(state, device)
    only_open = new_device and known > 0
    device_since = state["new_device_time"] if device == state["new_device"] else _NEVER
    previous, nearest, place, first_to_come = _NEVER, _NEVER, -1, OPEN
    if known > 0 and state["last_time"] <= time:
        previous = state["last_time"]
    for k in range(state["open"] - 1, -1, -1):
        s = slot(state, k)
        last = state["times"][s]
        first = last - np.int64(state["spans"][s]) * SECOND
        if first > time:
            nearest = first
            continue
        age, learned = time - last, last
        if last > border:
            previous = max(previous, min(last, time))
            if age >= 0:
                known += 1
                if first_to_come < came_at(state, s):
                    learned = learned_at(state, k, time)
                first_to_come = min(first_to_come, came_at(state, s))
                in_country += state["open_countries"][s] % COUNTED_COUNTRIES == country % COUNTED_COUNTRIES
                new_merchant &= state["open_merchants"][s] != merchant
                new_category &= state["open_categories"][s] != category
                new_country &= state["open_countries"][s] != country
                if state["open_devices"][s] == device:
                    new_device = False
                    first_with_it = state["kinds"][s] & NEW_DEVICE
                    if first_with_it or only_open:
                        device_since = first if first_with_it and learned == last else learned
                if place < 0 and state["latitudes"][s] != NO_PLACE:
                    place = s
        elif time <= border:
            previous = max(previous, last)
        elif age >= DAY:
            break
        if age < DAY:
            _count(state, s, age, event["channel"], limit, row)
        if time - learned < DAY:
            row[_FIRST_MERCHANTS_24H] += state["new_merchants"][s]
            row[_FIRST_COUNTRIES_24H] += new_countries(state, s)
    late = state["newest"] > time and (
        nearest == _NEVER
        or nearest - time <= _BELIEVABLE_DELAY
        or state["newest"] - nearest > HOUR
        or state["newest"] - time > DAY + HOUR
    )
    if known == 0:
        return known, late, limit
    deviation = math.sqrt(m2 / min(known, MEMORY))
    amount = min(event["amount"], LARGEST_AMOUNT)
    row[_AMOUNT_Z] = (amount - mean) / max(deviation, 0.1 * mean, 1.0)
    row[_AMOUNT_RATIO] = amount / max(mean, 1.0)
    row[_LOG_AMOUNT_RATIO] = row[_LOG_AMOUNT] - log_mean
    row[_LOG_SECONDS_SINCE_PREVIOUS] = math.log1p((time - previous if previous != _NEVER else 0) / SECOND)
    row[_NEW_MERCHANT] = merchant != 0 and new_merchant
    row[_NEW_CATEGORY] = category != 0 and new_category
    row[_NEW_COUNTRY] = country != 0 and new_country
    row[_NEW_DEVICE] = device != 0 and new_device
    if row[_NEW_DEVICE]:
        row[_LOG_DEVICE_AGE_SECONDS] = 0.0
    elif device != 0 and device_since != _NEVER:
        row[_LOG_DEVICE_AGE_SECONDS] = min(math.log1p(max(time - device_since, 0) / SECOND), _OLD)
    row[_COUNTRY_SHARE] = _share(state, country, in_country, known - np.int64(state["settled"]))
    _travel(state, event, place, row)
    return known, late, limit


@compiled
def _count(state, s, age, channel, limit, row):  # type: ignore[no-untyped-def]
    """Count the entry at s, so long ago (ms), in the windows of the day, the hour and the ten minutes."""
    payments, amount = np.int64(state["payments"][s]), np.float64(state["amounts"][s])
    row[_COUNT_24H] += payments
    row[_SUM_24H] += amount
    by = state["kinds"][s] & CHANNEL_BITS
    alike = by == channel
    row[_CHANNEL_COUNT_24H] += payments if alike or by == MIXED else 0
    if age < HOUR:
        row[_COUNT_1H] += payments
        row[_SUM_1H] += amount
        if amount < limit * payments:
            row[_SMALL_COUNT_1H] += payments
        elif payments > 1:
            row[_SMALL_COUNT_1H] += small(state, s)
        if age < 10 * MINUTE:
            row[_COUNT_10M] += payments


@compiled
def _share(state, country, in_country, open_payments):  # type: ignore[no-untyped-def]
    payments = open_payments
    for k in range(COUNTED_COUNTRIES):
        payments += np.int64(state["by_country"][k])
    return (state["by_country"][country % COUNTED_COUNTRIES] + in_country) / payments


@compiled
def _travel(state, event, place, row):  # type: ignore[no-untyped-def]
    """From the place of the open past's entry at `place`, or from the settled past's where that is negative."""
    latitude, longitude = stepped(event)
    if latitude == NO_PLACE or (place < 0 and state["place_time"] == 0):
        return
    if place < 0:
        from_latitude, from_longitude, since = state["latitude"], state["longitude"], state["place_time"]
    else:
        from_latitude, from_longitude, since = (
            state["latitudes"][place],
            state["longitudes"][place],
            state["times"][place],
        )
    row[_DISTANCE_KM] = distance_km(
        from_latitude * LATITUDE_STEP,
        from_longitude * LONGITUDE_STEP,
        latitude * LATITUDE_STEP,
        longitude * LONGITUDE_STEP,
    )
    gap = max(abs(event["time"] - since), MINUTE)
    row[_SPEED_KMH] = min(row[_DISTANCE_KM] / gap * HOUR, _FASTEST_KMH)


@compiled
def roundness(amount):  # type: ignore[no-untyped-def]
    """How round an amount is: 0 with cents, 1 where it is whole, 2 and 3 a multiple of 10 and of 50; 0 for nothing."""
    cents = np.int64(round(amount * 100))
    steps = 0.0
    if cents:
        for step in _CENTS_A_STEP:
            steps += cents % step == 0
    return steps
