"""Where things stand on the case's two drawings: places on a timeline and on a map, as plain numbers for the templates."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from page.payment import Payment

WIDTH: Final = 720
HEIGHT: Final = 200
MAP_HEIGHT: Final = 300
LEFT, RIGHT, TOP, BOTTOM = 56, 10, 10, 24

_AMOUNTS: Final = tuple(10.0**k for k in range(-2, 13))
_STEPS: Final = (1, 2, 5, 10, 20, 30, 45)


class Dot(NamedTuple):
    """One payment on a drawing. kind: this, alert or other; words: what a person reads about it."""

    x: float
    y: float
    kind: str
    words: str


class Tick(NamedTuple):
    """A line with a text at a place along an axis."""

    at: float
    text: str


class Timeline(NamedTuple):
    """Payments by time and amount, the amount on a logarithmic axis."""

    dots: list[Dot]
    times: list[Tick]
    amounts: list[Tick]


class Map(NamedTuple):
    """Places of payments, and the lines of a grid of degrees. line: from the place before to this one, or None."""

    dots: list[Dot]
    meridians: list[Tick]
    parallels: list[Tick]
    line: tuple[float, float, float, float] | None
    without_place: int


def timeline(payments: Sequence[Payment], this: tuple[int, int]) -> Timeline | None:
    """this: partition and offset of the one that is marked. None where there is nothing to draw."""
    if not payments:
        return None
    times = [one.event_time.timestamp() for one in payments]
    logs = [_log(one.amount) for one in payments]
    first, last = _spread(min(times), max(times), 60.0)
    low, high = _spread(min(logs), max(logs), 0.3)

    def x(time: float) -> float:
        return LEFT + (time - first) / (last - first) * (WIDTH - LEFT - RIGHT)

    def y(log: float) -> float:
        return TOP + (high - log) / (high - low) * (HEIGHT - TOP - BOTTOM)

    dots = [
        Dot(round(x(time), 1), round(y(log), 1), _kind(one, this), _words(one))
        for one, time, log in zip(payments, times, logs, strict=True)
    ]
    marks = [Tick(round(y(_log(amount)), 1), f"{amount:g}") for amount in _AMOUNTS if low <= _log(amount) <= high]
    days = last - first > 2 * 86_400
    ticks = [first + (last - first) * k / 4 for k in range(5)]
    form = "%d %b" if days else "%d %b %H:%M"
    dates = [Tick(round(x(tick), 1), _date(tick, form)) for tick in ticks]
    return Timeline(sorted(dots, key=lambda dot: dot.kind == "this"), dates, marks)


def places(payments: Sequence[Payment], this: tuple[int, int]) -> Map | None:
    """An equirectangular map around the payments' places. None where no payment has one."""
    placed = [one for one in payments if one.latitude is not None and one.longitude is not None]
    if not placed:
        return None
    west, east = _spread(min(_east(one) for one in placed), max(_east(one) for one in placed), 3.0)
    south, north = _spread(min(_north(one) for one in placed), max(_north(one) for one in placed), 2.0)
    squeeze = max(0.2, math.cos(math.radians((south + north) / 2)))
    scale = min((WIDTH - 20) / ((east - west) * squeeze), (MAP_HEIGHT - 20) / (north - south))
    middle = (west + east) / 2, (south + north) / 2

    def x(longitude: float) -> float:
        return round(WIDTH / 2 + (longitude - middle[0]) * squeeze * scale, 1)

    def y(latitude: float) -> float:
        return round(MAP_HEIGHT / 2 - (latitude - middle[1]) * scale, 1)

    dots = [Dot(x(_east(one)), y(_north(one)), _kind(one, this), _words(one)) for one in placed]
    half = WIDTH / 2 / squeeze / scale, MAP_HEIGHT / 2 / scale
    meridians = _degrees(middle[0] - half[0], middle[0] + half[0])
    parallels = _degrees(middle[1] - half[1], middle[1] + half[1])
    return Map(
        sorted(dots, key=lambda dot: dot.kind == "this"),
        [Tick(x(degree), f"{abs(degree):g}°{'E' if degree >= 0 else 'W'}") for degree in meridians],
        [Tick(y(degree), f"{abs(degree):g}°{'N' if degree >= 0 else 'S'}") for degree in parallels],
        _line(dots),
        len(payments) - len(placed),
    )


def _line(dots: Sequence[Dot]) -> tuple[float, float, float, float] | None:
    """From the payment before to the marked one."""
    here = next((k for k, dot in enumerate(dots) if dot.kind == "this"), 0)
    return (dots[here - 1].x, dots[here - 1].y, dots[here].x, dots[here].y) if here > 0 else None


def _degrees(low: float, high: float) -> list[float]:
    """Some six round degrees between two."""
    step = next((one for one in _STEPS if (high - low) / one <= 7), 60)
    first = math.ceil(low / step)
    return [float(k * step) for k in range(first, math.floor(high / step) + 1)]


def _east(one: Payment) -> float:
    return one.longitude or 0.0


def _north(one: Payment) -> float:
    return one.latitude or 0.0


def _log(amount: float) -> float:
    return math.log10(max(amount, 0.01))


def _spread(low: float, high: float, least: float) -> tuple[float, float]:
    """A little more than from low to high, at least so much."""
    more = max((high - low) * 0.05, (least - (high - low)) / 2)
    return low - more, high + more


def _kind(one: Payment, this: tuple[int, int]) -> str:
    if (one.partition, one.offset) == this:
        return "this"
    return "alert" if one.is_anomaly else "other"


def _words(one: Payment) -> str:
    paid = f"{one.amount:,.2f} {one.currency or ''}, {one.country or 'no country'}"
    return f"{_date(one.event_time.timestamp(), '%Y-%m-%d %H:%M')} UTC: {paid}, score {one.anomaly_score:.3f}"


def _date(at: float, form: str) -> str:
    """A time of a payment or an axis, UTC; at the ends of the calendar an axis goes beyond it.

    >>> _date(0.0, "%d %b"), _date(-62_135_596_801.0, "%d %b")
    ('01 Jan', '–')
    """
    try:
        return f"{datetime.fromtimestamp(at, UTC):{form}}"
    except (ValueError, OverflowError, OSError):
        return "–"
