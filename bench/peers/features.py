"""The features of a transaction in plain Python: one `Customer` object each, as one would write it without a compiler."""

import math
from collections import deque
from collections.abc import Mapping
from ctypes import c_float
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import xxhash

RECENT = 20
MEMORY = 200
SECOND = 1000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
LARGEST_AMOUNT = 1e12
BUCKETS = {"merchant": 256, "category": 64, "country": 64, "device": 64}
"""Scoreline knows what a customer has seen by hashes modulo these; the same scores need the same buckets."""
COUNTRIES, MOST_BY_COUNTRY = 32, 128
CHANNELS = ("contactless", "chip", "atm", "online", "transfer")
NEW_MERCHANT, NEW_COUNTRY = 8, 16
OLD_SECONDS = 365 * DAY / SECOND

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


@dataclass(slots=True)
class Customer:
    """One customer's past. Its fields are numbers and sequences of numbers, so that any state store can hold them.

    times, amounts, transactions, kinds: of the last RECENT transactions (ms since the epoch; rounded to float32; hashes of
    their ids; channel, and what was new). mean, m2: running mean and sum of squares of the amount, in which the oldest fade
    past MEMORY transactions; log_mean: the same of log(1 + amount). new_device, new_device_time: which one became known last,
    and when. by_country: payments by bucket of the country, halved at MOST_BY_COUNTRY. merchants … devices: the buckets seen.
    """

    count: int = 0
    mean: float = 0.0
    m2: float = 0.0
    last_time: int = 0
    place_time: int = 0
    latitude: float = 0.0
    longitude: float = 0.0
    log_mean: float = 0.0
    new_device: int = 0
    new_device_time: int = 0
    times: deque[int] = field(default_factory=lambda: deque(maxlen=RECENT))
    amounts: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT))
    transactions: deque[int] = field(default_factory=lambda: deque(maxlen=RECENT))
    kinds: deque[int] = field(default_factory=lambda: deque(maxlen=RECENT))
    by_country: list[int] = field(default_factory=lambda: [0] * COUNTRIES)
    merchants: set[int] = field(default_factory=set)
    categories: set[int] = field(default_factory=set)
    countries: set[int] = field(default_factory=set)
    devices: set[int] = field(default_factory=set)

    def add(self, transaction: Mapping[str, Any]) -> list[float] | None:
        """The features that a transaction has on arrival, and the transaction into the past; None for a duplicate."""
        identity = signed_hash(transaction["transaction_id"])
        if identity in self.transactions:
            return None
        time = milliseconds(transaction["event_time"])
        amount = min(transaction["amount"], LARGEST_AMOUNT)
        channel = CHANNELS.index(transaction["channel"]) + 1 if transaction["channel"] in CHANNELS else 0
        novelties = self._novelties(transaction)
        features = [
            math.log1p(amount),
            (time % DAY) / HOUR,
            1.0 if (time // DAY + 3) % 7 >= 5 else 0.0,  # the epoch was a Thursday
            *self._windows(time),
            *self._against_usual(time, amount),
            *self._travel(time, transaction),
            *novelties,
            float(channel),
            1.0 if transaction["device_id"] is None else 0.0,
            roundness(amount),
            *self._lately(time, channel),
            math.log1p(amount) - self.log_mean if self.count else 0.0,
            self._country_share(transaction["country"]),
            self._device_age(time, transaction["device_id"], bool(novelties[3])),
        ]
        kind = channel + NEW_MERCHANT * bool(novelties[0]) + NEW_COUNTRY * bool(novelties[2])
        self._remember(time, amount, identity, kind)
        return features

    def _windows(self, time: int) -> tuple[float, float, float, float, float]:
        count_10m = count_1h = count_24h = sum_1h = sum_24h = 0.0
        for past, amount in zip(self.times, self.amounts, strict=True):
            age = time - past
            if 0 <= age < DAY:
                count_24h += 1
                sum_24h += amount
                if age < HOUR:
                    count_1h += 1
                    sum_1h += amount
                    if age < 10 * MINUTE:
                        count_10m += 1
        return count_10m, count_1h, count_24h, sum_1h, sum_24h

    def _lately(self, time: int, channel: int) -> tuple[float, float, float, float]:
        """Small amounts within the hour; payments by the channel, at new merchants and in new countries within the day."""
        small = 0.2 * math.expm1(self.log_mean)
        smalls = same = merchants = countries = 0.0
        for past, amount, kind in zip(self.times, self.amounts, self.kinds, strict=True):
            if 0 <= time - past < DAY:
                smalls += time - past < HOUR and amount < small
                same += kind % NEW_MERCHANT == channel
                merchants += bool(kind & NEW_MERCHANT)
                countries += bool(kind & NEW_COUNTRY)
        return smalls, same, merchants, countries

    def _country_share(self, country: str | None) -> float:
        """The share of the payments before that were in this country; from now on this one counts too."""
        bucket = _bucket(country, COUNTRIES)
        share = self.by_country[bucket] / sum(self.by_country) if self.count else 1.0
        self.by_country[bucket] += 1
        if self.by_country[bucket] == MOST_BY_COUNTRY:
            self.by_country = [payments // 2 for payments in self.by_country]
        return share

    def _device_age(self, time: int, device: str | None, is_new: bool) -> float:
        """How long the device has been known, as log(1 + seconds)."""
        if device is None:
            return math.log1p(OLD_SECONDS)
        identity = signed_hash(device)
        if is_new:
            self.new_device, self.new_device_time = identity, time
        if identity != self.new_device:
            return math.log1p(OLD_SECONDS)
        return math.log1p(min(max(time - self.new_device_time, 0) / SECOND, OLD_SECONDS))

    def _against_usual(self, time: int, amount: float) -> tuple[float, float, float]:
        if self.count == 0:
            return 0.0, 1.0, math.log1p(30 * DAY / SECOND)
        deviation = math.sqrt(self.m2 / min(self.count, MEMORY))
        return (
            (amount - self.mean) / max(deviation, 0.1 * self.mean, 1.0),
            amount / max(self.mean, 1.0),
            math.log1p(max(time - self.last_time, 0) / SECOND),
        )

    def _travel(self, time: int, transaction: Mapping[str, Any]) -> tuple[float, float]:
        """(distance in km, speed in km/h) from the last place; then this place is the last one."""
        if transaction["latitude"] is None or transaction["longitude"] is None:
            return 0.0, 0.0
        latitude, longitude = c_float(transaction["latitude"]).value, c_float(transaction["longitude"]).value
        distance = speed = 0.0
        if self.place_time != 0:
            distance = distance_km(self.latitude, self.longitude, latitude, longitude)
            speed = min(distance / max(abs(time - self.place_time), MINUTE) * HOUR, 2000.0)
        if self.place_time == 0 or time >= self.place_time:
            self.latitude, self.longitude, self.place_time = latitude, longitude, time
        return distance, speed

    def _novelties(self, transaction: Mapping[str, Any]) -> tuple[float, float, float, float]:
        """Which of merchant, category, country and device the customer has not seen; from now on they are seen."""
        first = self.count == 0
        return (
            _novel(self.merchants, transaction["merchant_id"], BUCKETS["merchant"], first),
            _novel(self.categories, transaction["merchant_category"], BUCKETS["category"], first),
            _novel(self.countries, transaction["country"], BUCKETS["country"], first),
            _novel(self.devices, transaction["device_id"], BUCKETS["device"], first),
        )

    def _remember(self, time: int, amount: float, identity: int, kind: int) -> None:
        self.times.append(time)
        self.amounts.append(c_float(amount).value)
        self.transactions.append(identity)
        self.kinds.append(kind)
        if self.count == 0 or time > self.last_time:
            self.last_time = time
        self.count += 1
        delta = amount - self.mean  # Welford's update
        self.mean += delta / min(self.count, MEMORY)
        self.m2 += delta * (amount - self.mean)
        if self.count > MEMORY:
            self.m2 *= 1.0 - 1.0 / MEMORY
        self.log_mean += (math.log1p(amount) - self.log_mean) / min(self.count, MEMORY)

    def to_state(self) -> tuple[Any, ...]:
        """The fields as numbers and lists, in their order."""
        return (
            *(self.count, self.mean, self.m2, self.last_time, self.place_time, self.latitude, self.longitude),
            *(self.log_mean, self.new_device, self.new_device_time),
            *(list(self.times), list(self.amounts), list(self.transactions), list(self.kinds), list(self.by_country)),
            *(list(self.merchants), list(self.categories), list(self.countries), list(self.devices)),
        )

    @classmethod
    def from_state(cls, state: tuple[Any, ...] | list[Any]) -> "Customer":
        """What `to_state` was asked of."""
        numbers, recent, by_country, seen = state[:10], state[10:14], state[14], state[15:]
        return cls(*numbers, *(deque(values, RECENT) for values in recent), list(by_country), *map(set, seen))


def _novel(seen: set[int], value: str | None, buckets: int, first: bool) -> float:
    if value is None:
        return 0.0
    bucket = _bucket(value, buckets)
    if bucket in seen:
        return 0.0
    seen.add(bucket)
    return 0.0 if first else 1.0


def _bucket(value: str | None, buckets: int) -> int:
    return 0 if value is None else (xxhash.xxh3_64_intdigest(value.encode()) or 1) % buckets


def roundness(amount: float) -> float:
    """0 with cents, 1 for a whole amount, 2 for a multiple of 10, 3 of 50; 0 for nothing.

    >>> roundness(19.99), roundness(17.0), roundness(120.0), roundness(150.0), roundness(0.0)
    (0.0, 1.0, 2.0, 3.0, 0.0)
    """
    cents = round(amount * 100)
    return float(sum(cents % step == 0 for step in (100, 1_000, 5_000))) if cents else 0.0


def signed_hash(text: str) -> int:
    """64-bit xxh3 of a text, as the signed integer that databases have."""
    value = xxhash.xxh3_64_intdigest(text.encode()) or 1
    return value - (1 << 64) if value >> 63 else value


def milliseconds(time: str) -> int:
    """Whole milliseconds since the epoch of an RFC 3339 time.

    >>> milliseconds("1970-01-01T00:00:01.999Z")
    1999
    """
    return (datetime.fromisoformat(time) - _EPOCH) // _MILLISECOND


def distance_km(latitude1: float, longitude1: float, latitude2: float, longitude2: float) -> float:
    """Great-circle distance by the haversine formula, on a 6,371 km sphere; degrees."""
    degree = math.pi / 180
    a = (
        math.sin((latitude2 - latitude1) * degree / 2) ** 2
        + math.cos(latitude1 * degree)
        * math.cos(latitude2 * degree)
        * math.sin((longitude2 - longitude1) * degree / 2) ** 2
    )
    return 2 * 6371.0 * math.asin(math.sqrt(min(1.0, a)))
