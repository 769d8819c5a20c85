"""How the calendar moves people: they spend after payday, save before it, and travel in the holidays."""

from datetime import date, timedelta
from typing import Final

import numpy as np

from generator.arrays import Array

_EPOCH: Final = date(1970, 1, 1)
_MONTH = np.repeat([1.35, 1.1, 0.95, 0.9], [3, 4, 17, 6])  # from payday on
_YEAR = np.array([0.6, 0.7, 0.7, 1.1, 0.9, 1.3, 2.0, 2.0, 0.9, 0.7, 0.5, 1.1])  # January to December
_AFTER_PAYDAY: Final = _MONTH / _MONTH.mean()
_TRIPS: Final = _YEAR / _YEAR.mean()


def after_payday(day: int, payday: Array) -> Array:
    """How much more than usual customers (n,) with this payday, a day of the month, buy on a day since the epoch."""
    today = (_EPOCH + timedelta(days=day)).day
    factor: Array = _AFTER_PAYDAY[(today - payday) % len(_AFTER_PAYDAY)]
    return factor


def travelling(hour: Array) -> Array:
    """How much more than usual people leave for a trip at these hours (n,) since the epoch."""
    month = hour.astype("M8[h]").astype("M8[M]").astype(np.int64) % 12
    factor: Array = _TRIPS[month]
    return factor
