"""What the fold reads and what it keeps: an event, a customer's state, and the names of the features."""

from typing import Final

import numpy as np

FOLD_VERSION: Final = 2
"""What a state and its features mean. A state, checkpoint or model of another version is refused; one that has none is of 1."""

RECENT: Final = 20
"""Transactions whose identity is kept for each customer, the last by order of arrival: those a duplicate is found among."""

OPEN: Final = 16
"""Entries of a customer's open past, by event time. Up to this many the windows are exact; then close ones become one."""

MILLISECOND: Final = 1
SECOND: Final = 1000 * MILLISECOND
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

SETTLED_AFTER: Final = 49 * HOUR
"""How long before the newest event the past is settled. The newest may be a day early, and a window looks back a day; an hour
is for what is in flight."""

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

FEATURE_SET: Final = "customer-2"
"""The name of FEATURES in this order, by which a score's row of numbers is read: other features have another name."""

CHANNEL_BITS: Final = 7
MIXED: Final = 7
NEW_DEVICE: Final = 8
ARRIVAL: Final = 16
"""An entry's kind: the channel of its transactions, MIXED where they came by several, a bit where the newest one's device was
new to the customer, and above it how many of the entries came before it."""

SMALL: Final = 16
MOST_NEW_COUNTRIES: Final = SMALL - 1
MOST_SMALL: Final = 15
"""An entry's transactions in a new country, and this many times those that were small when they came; no more are counted."""

MERCHANT_WORDS: Final = 4
MERCHANTS: Final = 64 * MERCHANT_WORDS
CATEGORIES: Final = 64
COUNTRIES: Final = 64
DEVICES: Final = 1 << 16
"""How many merchants, categories, countries and devices are distinguished: a hash becomes a number from 1 on, 0 is unknown."""
COUNTED_COUNTRIES: Final = 32
"""Countries that a customer's payments are counted in; two whose numbers are equal modulo this are counted together."""
KNOWN_DEVICES: Final = 8

CUSTOMER: Final = np.dtype(
    [
        ("id_high", "u8"),
        ("id_low", "u8"),
        ("count", "u4"),
        ("partition", "u2"),
        ("order_undefined", "u1"),
        # the settled past
        ("settled", "u1"),
        ("mean", "f8"),
        ("m2", "f8"),
        ("log_mean", "f8"),
        ("last_time", "i8"),
        ("place_time", "i8"),
        ("latitude", "i2"),
        ("longitude", "i2"),
        ("merchants", "u8", (2 * MERCHANT_WORDS,)),
        ("categories", "u8", (2,)),
        ("countries", "u8", (2,)),
        ("devices", "u2", (KNOWN_DEVICES,)),
        ("by_country", "u1", (COUNTED_COUNTRIES,)),
        ("new_device", "u2"),
        ("new_device_time", "i8"),
        # the open past
        ("newest", "i8"),
        ("mean_now", "f8"),
        ("m2_now", "f8"),
        ("log_mean_now", "f8"),
        ("first_open", "u1"),
        ("open", "u1"),
        ("times", "i8", (OPEN,)),
        ("spans", "u2", (OPEN,)),
        ("amounts", "f4", (OPEN,)),
        ("payments", "u2", (OPEN,)),
        ("new_merchants", "u1", (OPEN,)),
        ("new_countries_and_small", "u1", (OPEN,)),
        ("kinds", "u1", (OPEN,)),
        ("open_merchants", "u1", (OPEN,)),
        ("open_categories", "u1", (OPEN,)),
        ("open_countries", "u1", (OPEN,)),
        ("open_devices", "u2", (OPEN,)),
        ("latitudes", "i2", (OPEN,)),
        ("longitudes", "i2", (OPEN,)),
        # duplicates
        ("transactions", "u8", (RECENT,)),
        ("positions", "i8", (RECENT,)),
    ]
)
"""One customer's state. `tobytes` serialises it; the dtype is its schema.

id: 128-bit hash of customer_id. count: transactions folded. partition: one more than that of the Kafka partition whose records
came, 0 before the first; order_undefined: 1 once they have come by two. transactions, positions: ring buffer of the last RECENT
to arrive, 64-bit hashes of transaction_id and where each is in the log. Times are milliseconds since the epoch.

The settled past, all that lies SETTLED_AFTER before `newest`, the latest event time that has come. settled: how many
transactions it was learned from, at most 201. mean, m2: running mean and variance of the amount, log_mean: running mean of
log(1 + amount), weighted over the last 200. last_time: its latest event. place_time, latitude, longitude: its last known
place, in LATITUDE_STEP and LONGITUDE_STEP. merchants … countries: Bloom masks with one bit a number, a current generation and
after it the one before. devices: the last that were used, the newest first. by_country: payments in each country, all halved
when one reaches 128. new_device, new_device_time: the device that was first seen last, and when, 0 where all were there from
the start.

The open past, what is later and not certainly past yet: a ring of `open` entries, sorted by time,
from first_open on. times: of an entry's newest transaction; spans: how far it reaches back, s. amounts, payments: of its
transactions together; new_merchants, new_countries_and_small: how many of them had one, or were small. kinds … open_devices:
of its newest alone; latitudes, longitudes: of the newest that has a place.
mean_now, m2_now, log_mean_now: as above, with the open past taken in. What came long after its time is there too, settled,
as long as the room is not needed.
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

OFFSET_BITS: Final = 48
"""A position is a partition's number and, in so many bits below it, an offset."""
NO_POSITION: Final = -1
HISTORY: Final = -2
"""The position of an event that came from history and not from the log."""

LARGEST_AMOUNT: Final = 1e12
"""Amounts beyond this are folded as this: the square of a larger one could make a customer's variance infinite for good."""

LATITUDE_STEP: Final = 90 / 32_000
LONGITUDE_STEP: Final = 180 / 32_000
"""Degrees: places are kept to the nearest of such steps, 310 and at most 630 m wide, and compared as they are kept."""
NO_PLACE: Final = np.iinfo(np.int16).min
