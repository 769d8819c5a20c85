"""The features as one would explain them: the customer's past in lists, and for each question a look through them."""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ml.features import DAY, FEATURES, HOUR, LARGEST_AMOUNT, MINUTE, NO_POSITION, RECENT

MEMORY = 200
SETTLED_AFTER = 49 * HOUR
BUCKETS = {"merchant": 256, "category": 64, "country": 64, "device": 65_536}
A_GENERATION = {"merchant": 64, "category": 24, "country": 8}
KNOWN_DEVICES = 8
MIXED = 7

Entry = dict[str, Any]


@dataclass
class Customer:
    """All that the fold accepted of one customer: settled in order of time, open as sorted entries, and ids as they came.

    room: how many entries the open past holds; identities: how many of the last to arrive a duplicate is found among.
    """

    room: int = 16
    identities: int = RECENT
    newest: int | None = None
    arrived: list[tuple[int, int]] = field(default_factory=list)
    settled: list[Entry] = field(default_factory=list)
    open: list[Entry] = field(default_factory=list)
    partitions: set[int] = field(default_factory=set)

    def add(self, event: dict[str, Any]) -> tuple[list[float], bool, int, bool]:
        """(features, late, duplicate_of, order_undefined) of the next event."""
        if event["position"] >= 0:
            self.partitions.add(event["position"] >> 48)
        order_undefined = len(self.partitions) > 1
        same = [position for name, position in self.arrived[-self.identities :] if name == event["transaction"]]
        if same:
            return [0.0] * len(FEATURES), False, same[-1], order_undefined
        self.arrived.append((event["transaction"], event["position"]))
        event |= {"amount": min(event["amount"], LARGEST_AMOUNT)}
        event |= {name: event[name] and event[name] % (most - 1) + 1 for name, most in BUCKETS.items()}
        if self.newest is None or event["time"] > self.newest:
            self._settle(event["time"])
        past = [entry for entry in self.open if self._is_open(entry) and entry["time"] <= event["time"]]
        features = self._features(event, self.settled + past) | self._novelties(event, self.settled, past)
        late = self._late(event["time"])
        self._remember(event, features)
        return [features[name] for name in FEATURES], late, NO_POSITION, order_undefined

    def _is_open(self, entry: Entry) -> bool:
        return bool(entry["time"] > self.newest - SETTLED_AFTER)

    def _settle(self, time: int) -> None:
        """The open entries that are certainly past teach what is usual; with them go those that came too late to teach."""
        before, self.newest = self.newest, time
        if before is None:
            return
        known = [entry for entry in self.open if entry["time"] > before - SETTLED_AFTER and not self._is_open(entry)]
        if known:
            for entry in known:
                later = [x["time"] for x in self.open if x["came"] < entry["came"] and x["time"] - entry["time"] > DAY]
                since = max(later, default=entry["first" if entry["new_device"] else "time"])
                devices = {0} | last_used([other["device"] for other in self.settled])
                is_new = entry["new_device"] or (len(self.settled) > 0 and entry["device"] not in devices)
                self.settled.append(entry | {"since": since, "new_device": is_new})
            self.open = [entry for entry in self.open if self._is_open(entry)]

    def _late(self, time: int) -> bool:
        ahead = [entry["first"] for entry in self.open if entry["first"] > time]
        nearest = ahead[0] if ahead else time
        return time < self.newest and (
            nearest - time <= 6 * HOUR or self.newest - nearest > HOUR or self.newest - time > 25 * HOUR
        )

    def _remember(self, event: dict[str, Any], features: dict[str, float]) -> None:
        if len(self.open) == self.room:
            if not self._is_open(self.open[0]):
                if event["time"] < self.open[0]["time"]:
                    return
                del self.open[0]
            elif not self._is_open(event):
                return
            else:
                self._join_closest()
        entry = event | {"first": event["time"], "amount": np.float32(event["amount"]), "payments": 1}
        entry |= {f"new_{name}": int(features[f"new_{name}"]) for name in ("merchant", "country", "device")}
        entry |= {"came": len(self.arrived), "small": int(event["amount"] < features["small_limit"])}
        place = sum(other["time"] <= event["time"] for other in self.open)
        self.open.insert(place, entry)

    def _join_closest(self) -> None:
        _, k = min((b["time"] - a["first"], k) for k, (a, b) in enumerate(zip(self.open, self.open[1:], strict=False)))
        a, b = self.open[k : k + 2]
        seconds = math.ceil((b["time"] - min(a["first"], b["first"])) / 1000)
        if a["device"] == b["device"]:
            b = b | {"new_device": b["new_device"] or a["new_device"]}
        elif self.settled:
            b = b | {"new_device": 0}
        if a["channel"] != b["channel"]:
            b = b | {"channel": MIXED}
        together = {name: b[name] + a[name] for name in ("amount", "payments", "new_merchant")}
        together |= {name: min(b[name] + a[name], 15) for name in ("new_country", "small")}
        together["came"] = max(a["came"], b["came"])
        if place(b) is None:
            together |= {name: a[name] for name in ("latitude", "longitude")}
        self.open[k : k + 2] = [b | together | {"first": b["time"] - 1000 * seconds}]

    def _features(self, event: dict[str, Any], past: list[Entry]) -> dict[str, float]:
        time, amount = event["time"], event["amount"]

        def window(length: int) -> list[Entry]:
            return [e for e in self.open if e["first"] <= time and time - e["time"] < length]

        def payments(length: int) -> float:
            return float(sum(entry["payments"] for entry in window(length)))

        out = {
            "log_amount": math.log1p(amount),
            "hour_of_day": (time % DAY) / HOUR,
            "weekend": float((time // DAY + 3) % 7 in (5, 6)),
            "count_10m": payments(10 * MINUTE),
            "count_1h": payments(HOUR),
            "count_24h": payments(DAY),
            "sum_1h": sum(float(entry["amount"]) for entry in window(HOUR)),
            "sum_24h": sum(float(entry["amount"]) for entry in window(DAY)),
            "amount_z": 0.0,
            "amount_ratio": 1.0,
            "log_seconds_since_previous": math.log1p(30 * DAY / 1000),
            "distance_km": 0.0,
            "speed_kmh": 0.0,
            "channel_number": float(event["channel"]),
            "no_device": float(event["device"] == 0),
            "roundness": roundness(amount),
            "channel_count_24h": float(
                sum(e["payments"] for e in window(DAY) if e["channel"] in (event["channel"], MIXED))
            ),
            "first_merchants_24h": float(sum(e["new_merchant"] for e in self._learned_within_a_day(time, past))),
            "first_countries_24h": float(sum(e["new_country"] for e in self._learned_within_a_day(time, past))),
            "log_amount_ratio": 0.0,
        }
        mean, deviation, log_mean = usual_amount(past)
        small = 0.2 * math.expm1(log_mean)
        out["small_count_1h"] = float(sum(small_payments(entry, small) for entry in window(HOUR)))
        out["small_limit"] = small
        if not past:
            return out
        out["log_amount_ratio"] = math.log1p(amount) - log_mean
        out["amount_z"] = (amount - mean) / max(deviation, 0.1 * mean, 1.0)
        out["amount_ratio"] = amount / max(mean, 1.0)
        out["log_seconds_since_previous"] = math.log1p((time - self._previous(event)) / 1000)
        known = [entry for entry in past if place(entry) is not None]
        if known and place(event) is not None:
            out["distance_km"] = haversine(known[-1], event)
            out["speed_kmh"] = min(out["distance_km"] / max(abs(time - known[-1]["time"]), MINUTE) * HOUR, 2000.0)
        return out

    def _learned_within_a_day(self, time: int, past: list[Entry]) -> list[Entry]:
        begun = [entry for entry in self.open if entry["first"] <= time]
        return [e for e in begun if time - (learned(e, past) if self._is_open(e) and e in past else e["time"]) < DAY]

    def _previous(self, event: dict[str, Any]) -> int:
        """The latest time before the event that is known: the last settled one, and those of its own part of the open past."""
        time = event["time"]
        entries = [entry for entry in self.open if self._is_open(entry) or not self._is_open(event)]
        begun = [min(entry["time"], time) for entry in entries if entry["first"] <= time]
        return max([last["time"] for last in self.settled[-1:] if last["time"] <= time] + begun, default=time)

    def _novelties(self, event: dict[str, Any], settled: list[Entry], past: list[Entry]) -> dict[str, float]:
        out = {}
        for name, most in A_GENERATION.items():
            seen = generations([entry[name] for entry in settled], most) | {entry[name] for entry in past}
            out[f"new_{name}"] = float(bool(settled or past) and event[name] != 0 and event[name] not in seen)
        devices = last_used([entry["device"] for entry in settled]) | {entry["device"] for entry in past}
        out["new_device"] = float(bool(settled or past) and event["device"] != 0 and event["device"] not in devices)
        payments = payments_by_country(settled)
        for entry in past:
            payments[entry["country"] % 32] += 1
        out["country_share"] = payments[event["country"] % 32] / sum(payments) if settled or past else 1.0
        only_open = settled and event["device"] not in last_used([entry["device"] for entry in settled])
        same = [entry for entry in past if entry["device"] == event["device"]]
        first_seen = [since(entry, past) for entry in same if entry["new_device"] or only_open]
        if not first_seen:  # of those settled the last new one alone is known
            newest = [e for e in settled if e["new_device"]][-1:]
            first_seen = [e["since"] for e in newest if e["device"] == event["device"]]
        seconds = 365 * DAY / 1000
        if out["new_device"]:
            seconds = 0
        elif first_seen and event["device"]:
            seconds = min(max(event["time"] - first_seen[0], 0) / 1000, seconds)
        out["log_device_age_seconds"] = math.log1p(seconds)
        return out


def learned(entry: Entry, past: list[Entry]) -> int:
    """When what an entry made known was known: when it came, as far as the entries before it say."""
    return int(max([x["time"] for x in past if x["came"] < entry["came"]] + [entry["time"]]))


def since(entry: Entry, past: list[Entry]) -> int:
    """When an entry's device was first seen."""
    known = learned(entry, past)
    return int(entry["first"] if entry["new_device"] and known == entry["time"] else known)


def small_payments(entry: Entry, limit: float) -> int:
    """All of an entry's payments where they are small on average; else those that were when they came."""
    if entry["amount"] < limit * entry["payments"]:
        return int(entry["payments"])
    return int(entry["small"]) if entry["payments"] > 1 else 0


def generations(numbers: list[int], most: int) -> set[int]:
    """What two generations know of the numbers that were seen, the oldest first."""
    current: set[int] = set()
    before: set[int] = set()
    for number in numbers:
        if number and number not in current:
            if len(current) >= most:
                before, current = current, set()
            current.add(number)
    return current | before


def last_used(devices: list[int]) -> set[int]:
    """The last KNOWN_DEVICES that were used, of those that are named."""
    known: list[int] = []
    for device in devices:
        if device:
            known = [device, *(other for other in known if other != device)][:KNOWN_DEVICES]
    return set(known)


def payments_by_country(settled: list[Entry]) -> list[int]:
    payments = [0] * 32
    for entry in settled:
        payments[entry["country"] % 32] += 1
        if max(payments) == 128:
            payments = [count // 2 for count in payments]
    return payments


def usual_amount(past: list[Entry]) -> tuple[float, float, float]:
    """(mean, deviation, mean of log(1 + amount)); each entry counts as one of its mean amount."""
    mean = m2 = log_mean = 0.0
    for n, entry in enumerate(past, 1):
        amount = float(entry["amount"]) / entry["payments"]
        delta = amount - mean
        mean += delta / min(n, MEMORY)
        m2 += delta * (amount - mean)
        log_mean += (math.log1p(amount) - log_mean) / min(n, MEMORY)
        if n > MEMORY:
            m2 *= 1.0 - 1.0 / MEMORY
    return mean, math.sqrt(m2 / max(min(len(past), MEMORY), 1)), log_mean


def roundness(amount: float) -> float:
    """0 with cents, 1 for a whole number, 2 for a multiple of 10, 3 of 50; 0 for nothing."""
    cents = round(amount * 100)
    return float(sum(cents % step == 0 for step in (100, 1_000, 5_000))) if cents else 0.0


def place(event: dict[str, Any]) -> tuple[float, float] | None:
    """(latitude, longitude), as exactly as they are kept; None where one is unknown."""
    if math.isnan(event["latitude"]) or math.isnan(event["longitude"]):
        return None
    return (
        round(float(event["latitude"]) / (90 / 32_000)) * (90 / 32_000),
        round(float(event["longitude"]) / (180 / 32_000)) * (180 / 32_000),
    )


def haversine(a: dict[str, Any], b: dict[str, Any]) -> float:
    (latitude1, longitude1), (latitude2, longitude2) = place(a) or (0, 0), place(b) or (0, 0)
    p, q = math.radians(latitude1), math.radians(latitude2)
    h = (
        math.sin((q - p) / 2) ** 2
        + math.cos(p) * math.cos(q) * math.sin(math.radians(longitude2 - longitude1) / 2) ** 2
    )
    return 2 * 6371.0 * math.asin(math.sqrt(min(1.0, h)))
