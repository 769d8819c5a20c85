"""A drift of honest behaviour: prices rise, people pay in other ways and travel to other countries; and a festival."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from generator.arrays import Array

FESTIVAL_AFTER_DAYS, FESTIVAL_DAYS = 5, 3


@dataclass(frozen=True)
class Drift:
    """When honest behaviour shifts, and how fast. begins: an hour since the epoch, None for never; days: until it is complete.

    The festival is three days of sales that begin five days after the drift and then are over.
    """

    begins: int | None = None
    days: float = 0.0

    def level(self, hour: Array | int) -> Array:
        """How far the drift has gone in an hour, or hours (n,), since the epoch: 0 before it begins, 1 when it is complete."""
        if self.begins is None:
            return np.zeros(np.shape(hour))
        level: Array = np.clip((hour - self.begins + 1) / max(24 * self.days, 1.0), 0.0, 1.0)
        return level

    def festival(self, hour: int) -> float:
        """1 in an hour of the festival, else 0."""
        if self.begins is None:
            return 0.0
        return float(0 <= hour - self.begins - 24 * FESTIVAL_AFTER_DAYS < 24 * FESTIVAL_DAYS)

    def prices(self, hour: int) -> float:
        """What amounts are multiplied by."""
        return 1 + 0.25 * float(self.level(hour)) + 0.15 * self.festival(hour)

    def purchases(self, hour: int) -> float:
        """What the number of purchases is multiplied by."""
        return 1 + 0.5 * self.festival(hour)

    def to_the_web(self, hour: int) -> float:
        """The share of purchases in person that are made online instead."""
        return 0.2 * float(self.level(hour)) + 0.15 * self.festival(hour)

    def to_new_countries(self, hour: Array) -> Array:
        """The share of the trips that begin in hours (n,) and lead to countries where no customer went before."""
        return 0.4 * self.level(hour)


NO_DRIFT: Final = Drift()
