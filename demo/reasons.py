"""Says the reasons of an alert in words that need no knowledge of the features."""

import math
from collections.abc import Callable, Sequence
from typing import Final

from ml.schema import Reason

_Say = Callable[[Reason], str]


def in_words(reasons: Sequence[Reason]) -> str:
    """The reasons, the strongest first, as one line.

    >>> in_words([Reason("count_10m", 14.0, 0.0, 2.0), Reason("new_device", 1.0, 0.0, 0.0)])
    '14 payments in the last 10 min (usually ≤ 2), from a new device'
    """
    said = ", ".join(_PHRASES.get(reason.feature, _unknown)(reason) for reason in reasons)
    return said if any(map(_outside, reasons)) else f"unusual only together: {said}"


def _outside(reason: Reason) -> bool:
    return not reason.usual_low <= reason.value <= reason.usual_high


def _usually(reason: Reason, text: Callable[[float], str]) -> str:
    if reason.value > reason.usual_high:
        return f"usually ≤ {text(reason.usual_high)}"
    if reason.value < reason.usual_low:
        return f"usually ≥ {text(reason.usual_low)}"
    return f"usually {text(reason.usual_low)} to {text(reason.usual_high)}"


def _said(pattern: str, text: Callable[[float], str]) -> _Say:
    return lambda reason: f"{pattern.format(text(reason.value))} ({_usually(reason, text)})"


def _plain(text: str, otherwise: str) -> _Say:
    return lambda reason: text if reason.value else otherwise


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 10 or value == round(value) else f"{value:.2g}"


def _kmh(value: float) -> str:
    return f"{value:,.0f} km/h"


def _km(value: float) -> str:
    return f"{value:,.0f} km"


def _unlogged(value: float) -> str:
    return _number(math.expm1(value))


def duration(seconds: float) -> str:
    """A length of time with one unit, such as 40 s, 12 min, 3.5 h or 2 days.

    >>> duration(4), duration(720), duration(9_000), duration(200_000)
    ('4 s', '12 min', '2.5 h', '2.3 days')
    """
    for unit, length in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length * (1 if unit == "min" else 2):
            return f"{seconds / length:.0f} {unit}" if unit == "min" else f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} s"


def _hour(value: float) -> str:
    return f"{int(value):02d}:{int(value % 1 * 60):02d}"


def _unknown(reason: Reason) -> str:
    return f"{reason.feature} {_number(reason.value)} ({_usually(reason, _number)})"


_PHRASES: Final[dict[str, _Say]] = {
    "log_amount": _said("an amount of {}", _unlogged),
    "hour_of_day": _said("at {} UTC", _hour),
    "weekend": _plain("at the weekend", "on a working day"),
    "count_10m": _said("{} payments in the last 10 min", _number),
    "count_1h": _said("{} payments in the last hour", _number),
    "count_24h": _said("{} payments in the last day", _number),
    "sum_1h": _said("{} spent in the last hour", _number),
    "sum_24h": _said("{} spent in the last day", _number),
    "amount_z": _said("{} deviations above the customer's mean", _number),
    "amount_ratio": _said("{} times the customer's mean amount", _number),
    "log_seconds_since_previous": _said("{} after the last payment", lambda value: duration(math.expm1(value))),
    "distance_km": _said("{} from the last place", _km),
    "speed_kmh": _said("{} from the last place", _kmh),
    "new_merchant": _plain("a new merchant", "a known merchant"),
    "new_category": _plain("a new kind of merchant", "a known kind of merchant"),
    "new_country": _plain("a new country", "a known country"),
    "new_device": _plain("from a new device", "from a known device"),
}
