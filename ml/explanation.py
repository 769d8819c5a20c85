"""Why a transaction is an alert: the features that drove its score, and each of them as a text."""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final

import numpy as np

from ml.arrays import Floats
from ml.schema import Reason
from ml.scorers.scorer import Scorer

REASONS: Final = 3
"""Reasons that an alert carries, at most."""


def reasons(scorer: Scorer, features: Floats, usual: Floats, names: Sequence[str]) -> list[list[Reason]]:
    """The features that made each row strange, the strongest first: at least one and at most REASONS a row.

    features: (n, F). usual: (F, 3), low end, typical value and high end of each feature in training. A feature's part in
    the score is its Shapley value against a row that is typical in everything. Only features that make the row stranger
    are named, those outside their usual range before the others, and of those that mean the same the first one.
    """
    if not len(features):
        return []
    low, typical, high = usual.T
    parts = scorer.contributions(features, np.ascontiguousarray(typical))
    outside = (features < low) | (features > high)
    ranked = np.lexsort((-parts, ~(outside & (parts > 0))), axis=1)
    meanings = _meanings(tuple(names))
    low, high, whose = low.tolist(), high.tolist(), zip(features.tolist(), parts.tolist(), ranked.tolist(), strict=True)
    return [
        [Reason(names[k], row[k], low[k], high[k]) for k in _different(best, part, meanings)]
        for row, part, best in whose
    ]


@lru_cache
def _meanings(names: tuple[str, ...]) -> tuple[int, ...]:
    """A number for each feature, the same for those that mean the same."""
    of_name = {name: number for number, same in enumerate(_SAME) for name in same}
    return tuple(of_name.get(name, len(_SAME) + k) for k, name in enumerate(names))


def _different(ranked: Sequence[int], parts: Sequence[float], meanings: Sequence[int]) -> list[int]:
    """The first REASONS of some ranked features that mean different things; the very first, and else only positive parts."""
    chosen: dict[int, int] = {}
    for k in ranked:
        if parts[k] > 0 or not chosen:
            chosen.setdefault(meanings[k], k)
        if len(chosen) == REASONS:
            break
    return list(chosen.values())


def in_words(reason: Reason) -> str:
    """One reason as a person reads it, without knowledge of the features: of any names and numbers, also of foreign scores.

    >>> in_words(Reason("count_10m", 14.0, 0.0, 2.0)), in_words(Reason("new_device", 1.0, 0.0, 0.0))
    ('14 earlier payments within 10 min, usually at most 2', 'from a device not seen before')
    >>> in_words(Reason("log_seconds_since_previous", 2.0, 5.0, 14.0))
    '6 s after the payment before, usually at least 2.5 min'
    >>> in_words(Reason("count_1h", 1.0, 0.0, 0.0))
    '1 earlier payment within the hour, usually at most 0'
    >>> in_words(Reason("moon_phase", 0.5, 0.0, 1.0))
    'moon_phase 0.5, usually 0 to 1'
    >>> in_words(Reason("country_share", 0.03, 0.0, 1.0)), in_words(Reason("country_share", 0.03, 0.4, 1.0))
    ('in a country of 3 % of the payments before', 'in a country of 3 % of the payments before, usually at least 40 %')
    """
    if reason.feature in _KINDS:
        kinds = _KINDS[reason.feature]
        return kinds[round(min(max(reason.value, 0), len(kinds) - 1))]
    if reason.feature in _FACTS:
        return _FACTS[reason.feature][0 if reason.value else 1]
    pattern, text = _PHRASES.get(reason.feature, (None, number))
    said = f"{reason.feature} {number(reason.value)}" if pattern is None else pattern.format(text(reason.value))
    if reason.value == 1:
        said = said.replace("payments", "payment")
    return said if _says_nothing(reason) else f"{said}, usually {_usual(reason, text)}"


def all_in_words(given: Sequence[Reason]) -> str:
    """The reasons of one alert, the strongest first, as one line.

    >>> all_in_words([Reason("speed_kmh", 2000.0, 0.0, 120.0), Reason("new_country", 1.0, 0.0, 0.0)])
    '2,000 km/h since the place before, usually at most 120 km/h; in a country not seen before'
    """
    return "; ".join(map(in_words, given))


def _says_nothing(reason: Reason) -> bool:
    """Whether all that can be is usual, so that a reader learns nothing from it."""
    if reason.feature not in _ALL_THAT_CAN_BE or not reason.usual_low <= reason.value <= reason.usual_high:
        return False
    low, high = _ALL_THAT_CAN_BE[reason.feature]
    return reason.usual_high - reason.usual_low >= _NEARLY_ALL * (high - low)


def _usual(reason: Reason, text: Callable[[float], str]) -> str:
    if reason.value > reason.usual_high:
        return f"at most {text(reason.usual_high)}"
    if reason.value < reason.usual_low:
        return f"at least {text(reason.usual_low)}"
    return f"{text(reason.usual_low)} to {text(reason.usual_high)}"


def number(value: float) -> str:
    """A number with as many digits as are useful.

    >>> number(21_500.4), number(12.34), number(0.0512), number(-0.0), number(1e12)
    ('21,500', '12.3', '0.051', '0', '1e+12')
    """
    if not abs(value) < 1e9:
        return f"{value:.3g}"
    if abs(value) >= 100 or value == round(value):
        return f"{value + 0.0:,.0f}"
    return f"{value:.3g}" if abs(value) >= 1 else f"{value:.2g}"


def duration(seconds: float) -> str:
    """A length of time in one unit, to a tenth where that is more than a fiftieth of it.

    >>> duration(4), duration(400), duration(720), duration(9_000), duration(200_000)
    ('4 s', '7 min', '12 min', '2.5 h', '2.3 days')
    """
    if not math.isfinite(seconds):
        return f"{seconds:g} s"
    for unit, length in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            count = seconds / length
            return f"{number(round(count, 1) if count < 5 else round(count))} {unit}"
    return f"{seconds:.0f} s"


def _hour(value: float) -> str:
    if not 0 <= value < 24:
        return number(value)
    return f"{int(value):02d}:{int(value % 1 * 60):02d}"


def _grown(of: Callable[[float], float], value: float) -> float:
    """An exponential of it; inf where no float is so large."""
    try:
        return of(value)
    except OverflowError:
        return math.inf


def _unlogged(value: float) -> str:
    return number(_grown(math.expm1, value))


def _time_unlogged(value: float) -> str:
    return duration(_grown(math.expm1, value))


_SAME: Final = (
    ("log_amount", "amount_z", "amount_ratio", "log_amount_ratio"),
    ("count_10m", "count_1h", "count_24h", "log_seconds_since_previous"),
    ("sum_1h", "sum_24h"),
    ("distance_km", "speed_kmh"),
    ("new_country", "country_share", "first_countries_24h"),
    ("new_device", "log_device_age_seconds"),
    ("new_merchant", "first_merchants_24h"),
)
"""Features that mean the same in other units or over other times, so that a second one adds little."""

_FACTS: Final = {
    "weekend": ("at the weekend", "on a working day"),
    "new_merchant": ("at a merchant not seen before", "at a known merchant"),
    "new_category": ("at a kind of merchant not seen before", "at a known kind of merchant"),
    "new_country": ("in a country not seen before", "in a known country"),
    "new_device": ("from a device not seen before", "from a known device"),
    "no_device": ("with no device named", "from a device that is named"),
}
"""Of features that are 1 or 0: what each of the two means, of this customer."""

_KINDS: Final = {
    "channel_number": (
        "by another channel than most",
        "contactless",
        "by chip",
        "at a cash machine",
        "online",
        "by transfer",
    ),
    "roundness": ("an amount that is not round", "a whole amount", "an amount in tens", "an amount in fifties"),
}
"""Of features that are one of a few numbers: what each of them means, from 0 on."""

_ALL_THAT_CAN_BE: Final = {"country_share": (0.0, 1.0), "hour_of_day": (0.0, 24.0)}
"""The least and the largest value of features that have both."""

_NEARLY_ALL: Final = 0.9

_PHRASES: Final[dict[str, tuple[str, Callable[[float], str]]]] = {
    "log_amount": ("an amount of {}", _unlogged),
    "hour_of_day": ("at {} UTC", _hour),
    "count_10m": ("{} earlier payments within 10 min", number),
    "count_1h": ("{} earlier payments within the hour", number),
    "count_24h": ("{} earlier payments within the day", number),
    "sum_1h": ("{} spent before within the hour", number),
    "sum_24h": ("{} spent before within the day", number),
    "amount_z": ("{} deviations above the customer's mean", number),
    "amount_ratio": ("{} times the customer's mean amount", number),
    "log_seconds_since_previous": ("{} after the payment before", _time_unlogged),
    "distance_km": ("{} from the place before", lambda value: f"{number(value)} km"),
    "speed_kmh": ("{} since the place before", lambda value: f"{number(value)} km/h"),
    "small_count_1h": ("{} small payments within the hour", number),
    "channel_count_24h": ("{} earlier payments by the same channel within the day", number),
    "first_merchants_24h": ("{} payments at merchants not seen before within the day", number),
    "first_countries_24h": ("{} payments in countries not seen before within the day", number),
    "log_amount_ratio": ("{} times what the customer typically pays", lambda value: number(_grown(math.exp, value))),
    "country_share": ("in a country of {} of the payments before", lambda value: f"{number(100 * value)} %"),
    "log_device_age_seconds": ("from a device known for {}", _time_unlogged),
}
"""How a feature's value is written, and the form of its numbers."""
