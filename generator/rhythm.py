"""When people pay: the weekly rhythms that customers follow, by local hour."""

from typing import Final

import numpy as np

from generator.arrays import Array

_BUMPS = {  # local hour of a peak, its width in hours, its weight; on working days and at weekends
    "worker": (
        ((8.0, 1.2, 0.8), (12.5, 1.0, 1.2), (18.2, 2.0, 2.0)),
        ((11.5, 2.2, 1.6), (15.0, 2.5, 1.4), (20.0, 2.2, 1.0)),
    ),
    "family": (
        ((9.0, 1.8, 1.2), (16.0, 2.0, 1.6), (19.0, 1.5, 0.8)),
        ((10.5, 2.0, 2.0), (14.5, 2.5, 1.5), (18.5, 1.8, 0.8)),
    ),
    "student": (
        ((13.0, 2.0, 1.2), (18.0, 2.5, 1.3), (22.0, 2.0, 1.2)),
        ((14.0, 3.0, 1.2), (19.0, 2.5, 1.2), (23.5, 2.0, 1.4)),
    ),
    "retired": (((10.2, 1.6, 2.2), (15.0, 2.0, 1.2)), ((10.8, 1.8, 1.8), (15.2, 2.2, 1.0))),
    "night_shift": (
        ((1.5, 2.0, 0.7), (7.0, 1.5, 1.2), (17.0, 2.5, 1.6), (21.5, 1.5, 1.2)),
        ((13.0, 3.0, 1.2), (20.0, 3.0, 1.4)),
    ),
}
RHYTHMS: Final = tuple(_BUMPS)
RHYTHM_SHARES: Final = np.array([0.42, 0.24, 0.12, 0.16, 0.06])
EMPLOYED: Final = np.array([name in ("worker", "night_shift") for name in RHYTHMS])
AT_WORK_HOURS: Final = range(7, 18)
_DAYS = np.array([0.95, 0.95, 0.97, 1.0, 1.12, 1.2, 0.81])  # Monday to Sunday
_NIGHT = 0.02  # some people are always awake


def _week(weekday: tuple[tuple[float, ...], ...], weekend: tuple[tuple[float, ...], ...]) -> Array:
    hours = np.arange(24) + 0.5
    days = []
    for day, weight in enumerate(_DAYS):
        profile = np.full(24, _NIGHT)
        for peak, width, height in weekend if day >= 5 else weekday:
            apart = np.abs(hours - peak)
            profile += height * np.exp(-0.5 * (np.minimum(apart, 24 - apart) / width) ** 2)
        days.append(weight * profile / profile.mean())
    week: Array = np.concatenate(days) / _DAYS.mean()
    return week


WEEKLY: Final = np.array([_week(*_BUMPS[name]) for name in RHYTHMS])
"""(rhythms, 168): the rate in each local hour of the week, from Monday 0 o'clock, relative to the rhythm's mean of 1."""
