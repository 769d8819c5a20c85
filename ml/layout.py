"""What the fold reads and what it keeps: an event, a customer's state, and the names of the features."""

from typing import Final

import numpy as np

RECENT: Final = 20
"""Transactions kept per customer. A sliding window is exact up to this many and saturates there."""

MILLISECOND: Final = 1
SECOND: Final = 1000 * MILLISECOND
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

COUNTRIES: Final = 32
"""Countries that a customer's payments are counted in; two whose hashes are equal modulo this are counted together."""

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
    "channel_number",
    "no_device",
    "roundness",
    "small_count_1h",
    "channel_count_24h",
    "first_merchants_24h",
    "first_countries_24h",
    "log_amount_ratio",
    "country_share",
    "log_device_age_seconds",
)

CHANNEL_BITS: Final = 7
NEW_MERCHANT: Final = 8
NEW_COUNTRY: Final = 16
"""A transaction's kind: its channel, and a bit each where its merchant or its country was new to the customer."""

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
        ("kinds", "u1", (RECENT,)),
        ("log_mean", "f8"),
        ("by_country", "u1", (COUNTRIES,)),
        ("new_device", "u8"),
        ("new_device_time", "i8"),
    ]
)
"""One customer's state. `tobytes` is all the serialisation there is; the dtype is its schema.

id: 128-bit hash of customer_id. mean, m2: running mean and variance of the amount, log_mean: running mean of log(1 + amount),
weighted over the last 200. Times are milliseconds since the epoch. merchants … devices: Bloom masks of hashes seen, with one
bit a hash. times … kinds: ring buffers of the last RECENT transactions, of which `transactions` holds 64-bit hashes of
transaction_id, and `kinds` the channel and what was new then. by_country: payments in each country, all halved when one reaches
128. new_device, new_device_time: the device that was first seen last, and when; 0 where all were there from the start.
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
        ("channel", "u1"),
        ("position", "i8"),
    ]
)
"""What the fold needs of a transaction. time: ms since the epoch; unknown places are NaN, unknown hashes 0.
channel: its place in `ml.schema.CHANNELS`, counted from 1; 0 where it is another or unknown."""

NO_POSITION: Final = -1
HISTORY: Final = -2
"""The position of an event that came from history and not from the log."""

LARGEST_AMOUNT: Final = 1e12
"""Amounts beyond this are folded as this: the square of a larger one could make a customer's variance infinite for good."""
