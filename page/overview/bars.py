"""Where the bars of a small chart stand, as plain numbers for the template."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from page.charts import LEFT, RIGHT, TOP, WIDTH, Tick
from page.store.figures import Hour

HEIGHT: Final = 140
BOTTOM: Final = 22
_STEPS: Final = (1, 2, 5)


class Bar(NamedTuple):
    """An hour's bar: all its alerts, of which the lower part is decided. words: what a person reads about it."""

    x: float
    width: float
    y: float
    height: float
    decided_y: float
    decided_height: float
    words: str


class Bars(NamedTuple):
    """The chart: bars, and the lines of its axes."""

    bars: list[Bar]
    counts: list[Tick]
    times: list[Tick]


def bars(hours: Sequence[Hour]) -> Bars:
    """hours: the oldest first, at least one."""
    most = max(1, *(hour.alerts for hour in hours)) if len(hours) > 1 else max(1, hours[0].alerts)
    room, width = HEIGHT - TOP - BOTTOM, (WIDTH - LEFT - RIGHT) / len(hours)
    floor = HEIGHT - BOTTOM

    def tall(count: int) -> float:
        return round(room * count / most, 1)

    drawn = [
        Bar(
            round(LEFT + place * width + 1, 1),
            round(max(1.0, width - 2), 1),
            round(floor - tall(hour.alerts), 1),
            tall(hour.alerts),
            round(floor - tall(hour.decided), 1),
            tall(hour.decided),
            f"{_time(hour.start)}: {hour.alerts:,} alerts, {hour.decided:,} decided",
        )
        for place, hour in enumerate(hours)
    ]
    step = _step(most)
    counts = [Tick(round(floor - tall(count), 1), f"{count:,}") for count in range(0, most + 1, step)]
    every = max(1, len(hours) // 4)
    times = [
        Tick(round(LEFT + (place + 0.5) * width, 1), _time(hours[place].start)) for place in range(0, len(hours), every)
    ]
    return Bars(drawn, counts, times)


def _step(most: int) -> int:
    """A round number, some four of which are the most."""
    size = 1
    while True:
        for step in _STEPS:
            if most / (step * size) <= 4:
                return step * size
        size *= 10


def _time(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%d %b %H:%M}"
