"""Labels that come late: how long it takes until a fraud is reported, and which frauds never are."""

import heapq
from collections.abc import Iterator

import numpy as np

from ml.schema import Label

NEVER_REPORTED = 0.1


class LateLabels:
    """The labels that are still under way, each due at a time of its own, in seconds on the sender's schedule.

    Delays are exponential with the given mean, in the order in which the labels are added; NEVER_REPORTED of them stay
    away for ever.
    """

    def __init__(self, rng: np.random.Generator, mean_delay_seconds: float) -> None:
        self._rng, self._mean = rng, mean_delay_seconds
        self._under_way: list[tuple[float, int, Label]] = []
        self._added = 0

    def __len__(self) -> int:
        return len(self._under_way)

    def add(self, label: Label, seconds: float) -> None:
        """A fraud has happened at this second of the schedule."""
        delay, reported = self._rng.exponential(self._mean), self._rng.random() >= NEVER_REPORTED
        self._added += 1
        if reported:
            heapq.heappush(self._under_way, (seconds + delay, self._added, label))

    def due(self, seconds: float) -> Iterator[Label]:
        """Take out the labels that are due by this second, the earliest first."""
        while self._under_way and self._under_way[0][0] <= seconds:
            yield heapq.heappop(self._under_way)[2]
