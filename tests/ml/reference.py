"""The features as one would explain them: the customer's whole history in a list, and for each question a look through it."""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ml.features import COUNTRIES, DAY, FEATURES, HOUR, LARGEST_AMOUNT, MINUTE, NO_POSITION, RECENT

MEMORY = 200


@dataclass
class Customer:
    """All that the fold accepted of one customer, in the order of the log; `recent` says how far back its memory goes."""

    recent: int = RECENT
    log: list[dict[str, Any]] = field(default_factory=list)

    def add(self, event: dict[str, Any]) -> tuple[list[float], bool, int]:
        """(features, late, duplicate_of) of the next event."""
        remembered = self.log[-self.recent :]
        same = [past for past in remembered if past["transaction"] == event["transaction"]]
        if same:
            return [0.0] * len(FEATURES), False, same[-1]["position"]
        late = bool(self.log) and event["time"] < max(past["time"] for past in self.log)
        event |= {"amount": min(event["amount"], LARGEST_AMOUNT)}
        features = self._features(event, remembered) | self._novelties(event, remembered)
        self.log.append(event | {name: features[name] for name in ("new_merchant", "new_country", "new_device")})
        return [features[name] for name in FEATURES], late, NO_POSITION

    def _features(self, event: dict[str, Any], remembered: list[dict[str, Any]]) -> dict[str, float]:
        time, amount = event["time"], event["amount"]

        def window(length: int) -> list[float]:
            # ring order: the fold adds up its ring buffer from slot 0, and floating-point sums depend on their order
            slots = sorted(range(len(remembered)), key=lambda k: (len(self.log) - len(remembered) + k) % self.recent)
            return [
                float(np.float32(remembered[k]["amount"])) for k in slots if 0 <= time - remembered[k]["time"] < length
            ]

        out = {
            "log_amount": math.log1p(amount),
            "hour_of_day": (time % DAY) / HOUR,
            "weekend": float((time // DAY + 3) % 7 in (5, 6)),
            "count_10m": float(len(window(10 * MINUTE))),
            "count_1h": float(len(window(HOUR))),
            "count_24h": float(len(window(DAY))),
            "sum_1h": added(window(HOUR)),
            "sum_24h": added(window(DAY)),
            "amount_z": 0.0,
            "amount_ratio": 1.0,
            "log_seconds_since_previous": math.log1p(30 * DAY / 1000),
            "distance_km": 0.0,
            "speed_kmh": 0.0,
            "channel_number": float(event["channel"]),
            "no_device": float(event["device"] == 0),
            "roundness": roundness(amount),
            "small_count_1h": 0.0,
            "log_amount_ratio": 0.0,
        }
        if not self.log:
            return out
        mean, deviation, log_mean = self._usual_amount()
        out["small_count_1h"] = float(sum(small < 0.2 * math.expm1(log_mean) for small in window(HOUR)))
        out["log_amount_ratio"] = math.log1p(amount) - log_mean
        out["amount_z"] = (amount - mean) / max(deviation, 0.1 * mean, 1.0)
        out["amount_ratio"] = amount / max(mean, 1.0)
        out["log_seconds_since_previous"] = math.log1p(max(time - max(past["time"] for past in self.log), 0) / 1000)
        known = [past for past in self.log if known_place(past)]
        if known and known_place(event):
            last = max(enumerate(known), key=lambda at: (at[1]["time"], at[0]))[1]
            out["distance_km"] = haversine(last, event)
            out["speed_kmh"] = min(out["distance_km"] / max(abs(time - last["time"]), MINUTE) * HOUR, 2000.0)
        return out

    def _novelties(self, event: dict[str, Any], remembered: list[dict[str, Any]]) -> dict[str, float]:
        out = {}
        for name, bits in (("merchant", 256), ("category", 64), ("country", 64), ("device", 64)):
            seen = {past[name] % bits for past in self.log if past[name] != 0}
            out[f"new_{name}"] = float(bool(self.log) and event[name] != 0 and event[name] % bits not in seen)
        day = [past for past in remembered if 0 <= event["time"] - past["time"] < DAY]
        out["channel_count_24h"] = float(sum(past["channel"] == event["channel"] for past in day))
        out["first_merchants_24h"] = added([past["new_merchant"] for past in day])
        out["first_countries_24h"] = added([past["new_country"] for past in day])
        payments = self._payments_by_country()
        out["country_share"] = payments[event["country"] % COUNTRIES] / sum(payments) if self.log else 1.0
        seconds = 365 * DAY / 1000
        of_late = [(past["device"], past["time"]) for past in self.log if past["new_device"]]
        if out["new_device"]:
            seconds = 0
        elif of_late and event["device"] == of_late[-1][0]:
            seconds = min(max(event["time"] - of_late[-1][1], 0) / 1000, seconds)
        out["log_device_age_seconds"] = math.log1p(seconds)
        return out

    def _payments_by_country(self) -> list[int]:
        payments = [0] * COUNTRIES
        for past in self.log:
            payments[past["country"] % COUNTRIES] += 1
            if max(payments) == 128:
                payments = [count // 2 for count in payments]
        return payments

    def _usual_amount(self) -> tuple[float, float, float]:
        mean = m2 = log_mean = 0.0
        for n, past in enumerate(self.log, 1):
            delta = past["amount"] - mean
            mean += delta / min(n, MEMORY)
            m2 += delta * (past["amount"] - mean)
            log_mean += (math.log1p(past["amount"]) - log_mean) / min(n, MEMORY)
            if n > MEMORY:
                m2 *= 1.0 - 1.0 / MEMORY
        return mean, math.sqrt(m2 / min(len(self.log), MEMORY)), log_mean


def roundness(amount: float) -> float:
    """0 with cents, 1 for a whole number, 2 for a multiple of 10, 3 of 50; 0 for nothing."""
    cents = round(amount * 100)
    return float(sum(cents % step == 0 for step in (100, 1_000, 5_000))) if cents else 0.0


def added(amounts: list[float]) -> float:
    """Their sum, from left to right (Python's own `sum` corrects rounding errors from 3.12 on)."""
    total = 0.0
    for amount in amounts:
        total += amount
    return total


def known_place(event: dict[str, Any]) -> bool:
    return not (math.isnan(event["latitude"]) or math.isnan(event["longitude"]))


def haversine(a: dict[str, Any], b: dict[str, Any]) -> float:
    p, q = math.radians(float(a["latitude"])), math.radians(float(b["latitude"]))
    h = (
        math.sin((q - p) / 2) ** 2
        + math.cos(p) * math.cos(q) * math.sin(math.radians(float(b["longitude"]) - float(a["longitude"])) / 2) ** 2
    )
    return 2 * 6371.0 * math.asin(math.sqrt(min(1.0, h)))
