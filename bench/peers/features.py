"""The features of a transaction in plain Python: one `Customer` object each, as one would write it without a compiler."""

import math
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from ctypes import c_float
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import xxhash

RECENT = 20
OPEN = 16
MEMORY = 200
SECOND = 1000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
SETTLED_AFTER = 49 * HOUR
LARGEST_AMOUNT = 1e12
BUCKETS = {"merchant": 256, "category": 64, "country": 64, "device": 65_536}
"""Scoreline knows what a customer has seen by hashes modulo these; the same scores need the same buckets."""
A_GENERATION = {"merchant": 64, "category": 24, "country": 8}
KNOWN_DEVICES = 8
COUNTRIES, MOST_BY_COUNTRY = 32, 128
MOST_NEW_COUNTRIES = MOST_SMALL = 15
MIXED = 7.0
CHANNELS = ("contactless", "chip", "atm", "online", "transfer")
OLD_SECONDS = 365 * DAY / SECOND
LATITUDE_STEP, LONGITUDE_STEP = 90 / 32_000, 180 / 32_000
NOWHERE = 1e9

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class Entry(NamedTuple):
    """A payment of the open past, or some that lie close together; new_device … device are the newest one's. All numbers.

    first, time: when it begins and ends, ms. amount: of its payments together. merchant … device: buckets, 0 where unknown.
    channel: MIXED where there are several. latitude, longitude: of the newest that has a place.
    came: higher for what came later. small: how many were small then.
    """

    time: float
    first: float
    amount: float
    payments: float
    new_merchants: float
    new_countries: float
    channel: float
    new_device: float
    merchant: float
    category: float
    country: float
    device: float
    latitude: float
    longitude: float
    came: float = 0.0
    small: float = 0.0


class Usual(NamedTuple):
    """Running mean and sum of squares of the amount, and the mean of log(1 + amount), of so many payments."""

    number: float = 0.0
    mean: float = 0.0
    m2: float = 0.0
    log_mean: float = 0.0

    def with_one(self, entry: Entry) -> "Usual":
        """Welford's update, in which the oldest fade past MEMORY payments."""
        number, amount = self.number + 1, entry.amount / entry.payments
        weight = min(number, MEMORY)
        delta = amount - self.mean
        mean = self.mean + delta / weight
        m2 = (self.m2 + delta * (amount - mean)) * (1.0 if number <= MEMORY else 1.0 - 1.0 / MEMORY)
        return Usual(number, mean, m2, self.log_mean + (math.log1p(amount) - self.log_mean) / weight)


@dataclass(slots=True)
class Customer:
    """One customer's past. Its fields are numbers and sequences of numbers, so that any state store can hold them.

    What lies SETTLED_AFTER before the newest event is settled, and summed up: usual; last_time; the last place and when;
    new_device and new_device_time, which became known last; by_country, payments by bucket of the country, halved at
    MOST_BY_COUNTRY; seen, six lists of buckets: merchants, categories and countries, of each a generation and the one before;
    devices, the last that were used. What is later is open: entries, sorted by time, OPEN at most, of which close ones are
    joined. transactions: hashes of the last RECENT ids that came.
    """

    newest: float = 0.0
    last_time: float = 0.0
    place_time: float = 0.0
    latitude: float = 0.0
    longitude: float = 0.0
    new_device: float = 0.0
    new_device_time: float = 0.0
    usual: Usual = field(default_factory=Usual)
    by_country: list[int] = field(default_factory=lambda: [0] * COUNTRIES)
    devices: list[float] = field(default_factory=list)
    transactions: deque[int] = field(default_factory=lambda: deque(maxlen=RECENT))
    seen: list[list[float]] = field(default_factory=lambda: [[] for _ in range(2 * len(A_GENERATION))])
    entries: list[Entry] = field(default_factory=list)

    def add(self, transaction: Mapping[str, Any]) -> list[float] | None:
        """The features that a transaction has on arrival, and the transaction into the past; None for a duplicate."""
        identity = signed_hash(transaction["transaction_id"])
        if identity in self.transactions:
            return None
        event = _entry(transaction)
        if not self.transactions or event.time > self.newest:
            self._settle(event.time)
        amount = min(transaction["amount"], LARGEST_AMOUNT)
        time = int(event.time)
        past = [entry for entry in self._open() if entry.time <= time]
        windows, lately = self._windows(event, past)
        novelties = self._novelties(event, past)
        features = [
            math.log1p(amount),
            (time % DAY) / HOUR,
            1.0 if (time // DAY + 3) % 7 >= 5 else 0.0,  # the epoch was a Thursday
            *windows,
            *self._against_usual(event, amount, past),
            *self._travel(event, past),
            *novelties,
            event.channel,
            1.0 if event.device == 0 else 0.0,
            roundness(amount),
            *lately,
            math.log1p(amount) - self._usual(past).log_mean if self._knows(past) else 0.0,
            self._country_share(event, past),
            self._device_age(event, past, bool(novelties[3])),
        ]
        event = event._replace(new_merchants=novelties[0], new_countries=novelties[2], new_device=novelties[3])
        came = 1.0 + max((entry.came for entry in self.entries), default=0.0)
        small = 1.0 if amount < 0.2 * math.expm1(self._usual(past).log_mean) else 0.0
        self._remember(event._replace(came=came, small=small))
        self.transactions.append(identity)
        return features

    def _open(self) -> Iterator[Entry]:
        return (entry for entry in self.entries if entry.time > self.newest - SETTLED_AFTER)

    def _knows(self, past: Sequence[Entry]) -> bool:
        return bool(self.usual.number or past)

    def _usual(self, past: Sequence[Entry]) -> Usual:
        usual = self.usual
        for entry in past:
            usual = usual.with_one(entry)
        return usual

    def _windows(self, event: Entry, past: Sequence[Entry]) -> tuple[list[float], list[float]]:
        """Counts and sums in 10 min, 1 h and 24 h; and of what kind the payments were."""
        count_10m = count_1h = count_24h = sum_1h = sum_24h = smalls = same = merchants = countries = 0.0
        small = 0.2 * math.expm1(self._usual(past).log_mean)
        for entry in self.entries:
            age = event.time - entry.time
            if entry.first <= event.time and event.time - _learned(entry, past) < DAY:
                merchants += entry.new_merchants
                countries += entry.new_countries
            if entry.first <= event.time and age < DAY:
                count_24h += entry.payments
                sum_24h += entry.amount
                same += entry.payments if entry.channel in (event.channel, MIXED) else 0
                if age < HOUR:
                    count_1h += entry.payments
                    sum_1h += entry.amount
                    if entry.amount < small * entry.payments:
                        smalls += entry.payments
                    elif entry.payments > 1:
                        smalls += entry.small
                    if age < 10 * MINUTE:
                        count_10m += entry.payments
        return [count_10m, count_1h, count_24h, sum_1h, sum_24h], [smalls, same, merchants, countries]

    def _country_share(self, event: Entry, past: Sequence[Entry]) -> float:
        """The share of the payments before that were in this country."""
        if not self._knows(past):
            return 1.0
        bucket = int(event.country) % COUNTRIES
        here = sum(int(entry.country) % COUNTRIES == bucket for entry in past)
        return (self.by_country[bucket] + here) / (sum(self.by_country) + len(past))

    def _device_age(self, event: Entry, past: Sequence[Entry], is_new: bool) -> float:
        """How long the device has been known, as log(1 + seconds)."""
        only_open = self.usual.number > 0 and event.device not in self.devices
        first = [e for e in past if e.device == event.device and (e.new_device or only_open)]
        since = [e.first if e.new_device and _learned(e, past) == e.time else _learned(e, past) for e in first]
        if not since and event.device == self.new_device:
            since = [self.new_device_time]
        seconds = 0.0 if is_new else OLD_SECONDS
        if event.device and since and not is_new:
            seconds = min(max(event.time - since[0], 0) / SECOND, OLD_SECONDS)
        return math.log1p(seconds)

    def _against_usual(self, event: Entry, amount: float, past: Sequence[Entry]) -> tuple[float, float, float]:
        if not self._knows(past):
            return 0.0, 1.0, math.log1p(30 * DAY / SECOND)
        usual = self._usual(past)
        deviation = math.sqrt(usual.m2 / min(usual.number, MEMORY))
        return (
            (amount - usual.mean) / max(deviation, 0.1 * usual.mean, 1.0),
            amount / max(usual.mean, 1.0),
            math.log1p((event.time - self._previous(event)) / SECOND),
        )

    def _previous(self, event: Entry) -> float:
        """When the payment before this one was, in the order of their times; this one's own time where none is known."""
        border = self.newest - SETTLED_AFTER
        begun = [e for e in self.entries if e.first <= event.time and (e.time > border or event.time <= border)]
        known = [self.last_time] if self.usual.number and self.last_time <= event.time else []
        return max(known + [min(entry.time, event.time) for entry in begun], default=event.time)

    def _travel(self, event: Entry, past: Sequence[Entry]) -> tuple[float, float]:
        """(distance in km, speed in km/h) from the last place."""
        places = [(entry.latitude, entry.longitude, entry.time) for entry in past if entry.latitude != NOWHERE]
        if not places and self.place_time:
            places = [(self.latitude, self.longitude, self.place_time)]
        if event.latitude == NOWHERE or not places:
            return 0.0, 0.0
        latitude, longitude, since = places[-1]
        distance = distance_km(latitude, longitude, event.latitude, event.longitude)
        return distance, min(distance / max(abs(event.time - since), MINUTE) * HOUR, 2000.0)

    def _novelties(self, event: Entry, past: Sequence[Entry]) -> tuple[float, float, float, float]:
        """Which of merchant, category, country and device the customer has not seen."""
        merchants, merchants_before, categories, categories_before, countries, countries_before = self.seen
        return (
            self._novel(event.merchant, [merchants, merchants_before, [entry.merchant for entry in past]], past),
            self._novel(event.category, [categories, categories_before, [entry.category for entry in past]], past),
            self._novel(event.country, [countries, countries_before, [entry.country for entry in past]], past),
            self._novel(event.device, [self.devices, [entry.device for entry in past]], past),
        )

    def _novel(self, bucket: float, seen: Sequence[Sequence[float]], past: Sequence[Entry]) -> float:
        return float(self._knows(past) and bucket != 0 and not any(bucket in buckets for buckets in seen))

    def _settle(self, time: float) -> None:
        """What lies long enough before this time is past for whatever may still come."""
        before, self.newest = self.newest - SETTLED_AFTER, time
        border = time - SETTLED_AFTER
        known = [entry for entry in self.entries if before < entry.time <= border]
        if self.transactions and known:
            for entry in known:
                self._teach(entry)
            self.entries = [entry for entry in self.entries if entry.time > border]

    def _teach(self, entry: Entry) -> None:
        self.usual = self.usual.with_one(entry)
        self.last_time = entry.time
        if entry.latitude != NOWHERE:
            self.latitude, self.longitude, self.place_time = entry.latitude, entry.longitude, entry.time
        for k, (name, most) in enumerate(A_GENERATION.items()):
            bucket: float = getattr(entry, name)
            if bucket and bucket not in self.seen[2 * k]:
                if len(self.seen[2 * k]) >= most:
                    self.seen[2 * k + 1], self.seen[2 * k] = self.seen[2 * k], []
                self.seen[2 * k].append(bucket)
        is_new = entry.new_device or (entry.device and self.usual.number > 1 and entry.device not in self.devices)
        if entry.device:
            others = [device for device in self.devices if device != entry.device]
            self.devices = [entry.device, *others][:KNOWN_DEVICES]
        if is_new:
            later = [e.time for e in self.entries if e.came < entry.came and e.time - entry.time > DAY]
            self.new_device, self.new_device_time = (
                entry.device,
                max(later, default=entry.first if entry.new_device else entry.time),
            )
        bucket = int(entry.country) % COUNTRIES
        self.by_country[bucket] += 1
        if self.by_country[bucket] == MOST_BY_COUNTRY:
            self.by_country = [payments // 2 for payments in self.by_country]

    def _remember(self, event: Entry) -> None:
        border = self.newest - SETTLED_AFTER
        if len(self.entries) == OPEN:
            if self.entries[0].time <= border:
                if event.time < self.entries[0].time:
                    return
                del self.entries[0]
            elif event.time <= border:
                return
            else:
                self._join_closest()
        self.entries.insert(bisect_right(self.entries, event.time, key=lambda entry: entry.time), event)

    def _join_closest(self) -> None:
        """One entry of the two neighbours that lie closest together; it reaches back by whole seconds."""
        lengths = [after.time - entry.first for entry, after in zip(self.entries, self.entries[1:], strict=False)]
        k = lengths.index(min(lengths))
        entry, after = self.entries[k : k + 2]
        new_device = after.new_device if self.usual.number == 0 else 0.0
        if entry.device == after.device:
            new_device = max(after.new_device, entry.new_device)
        seconds = math.ceil((after.time - min(entry.first, after.first)) / SECOND)
        self.entries[k : k + 2] = [
            after._replace(
                first=after.time - seconds * SECOND,
                amount=c_float(entry.amount + after.amount).value,
                payments=entry.payments + after.payments,
                new_device=new_device,
                channel=after.channel if entry.channel == after.channel else MIXED,
                new_merchants=entry.new_merchants + after.new_merchants,
                new_countries=min(entry.new_countries + after.new_countries, MOST_NEW_COUNTRIES),
                small=min(entry.small + after.small, MOST_SMALL),
                came=max(entry.came, after.came),
                latitude=entry.latitude if after.latitude == NOWHERE else after.latitude,
                longitude=entry.longitude if after.latitude == NOWHERE else after.longitude,
            )
        ]

    def to_state(self) -> tuple[Any, ...]:
        """The fields as numbers and lists, in their order."""
        return (
            *(self.newest, self.last_time, self.place_time, self.latitude, self.longitude),
            *(self.new_device, self.new_device_time),
            *(list(self.usual), list(self.by_country), list(self.devices), list(self.transactions)),
            *([list(buckets) for buckets in self.seen], [list(entry) for entry in self.entries]),
        )

    @classmethod
    def from_state(cls, state: tuple[Any, ...] | list[Any]) -> "Customer":
        """What `to_state` was asked of."""
        numbers, usual, by_country, devices, transactions, seen, entries = state[:7], *state[7:]
        return cls(
            *numbers,
            Usual(*usual),
            list(by_country),
            list(devices),
            deque(transactions, RECENT),
            [list(buckets) for buckets in seen],
            [Entry(*entry) for entry in entries],
        )


def _learned(entry: Entry, past: Sequence[Entry]) -> float:
    """When what an entry made known was known: when it came, as far as the entries before it say."""
    if entry not in past:
        return entry.time
    return max([e.time for e in past if e.came < entry.came] + [entry.time])


def _entry(transaction: Mapping[str, Any]) -> Entry:
    """A transaction as the numbers that are remembered of it."""
    time = float(milliseconds(transaction["event_time"]))
    latitude, longitude = transaction["latitude"], transaction["longitude"]
    placed = latitude is not None and longitude is not None
    return Entry(
        time,
        time,
        c_float(min(transaction["amount"], LARGEST_AMOUNT)).value,
        1.0,
        0.0,
        0.0,
        float(CHANNELS.index(transaction["channel"]) + 1 if transaction["channel"] in CHANNELS else 0),
        0.0,
        _bucket(transaction["merchant_id"], BUCKETS["merchant"]),
        _bucket(transaction["merchant_category"], BUCKETS["category"]),
        _bucket(transaction["country"], BUCKETS["country"]),
        _bucket(transaction["device_id"], BUCKETS["device"]),
        round(c_float(latitude).value / LATITUDE_STEP) * LATITUDE_STEP if placed else NOWHERE,
        round(c_float(longitude).value / LONGITUDE_STEP) * LONGITUDE_STEP if placed else NOWHERE,
    )


def _bucket(value: str | None, buckets: int) -> float:
    return 0.0 if value is None else float((xxhash.xxh3_64_intdigest(value.encode()) or 1) % (buckets - 1) + 1)


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
