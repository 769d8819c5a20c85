"""When records came, as far as one knows who looks at a topic's ends now and then: the age of what is not read yet."""

from collections import deque
from itertools import pairwise
from typing import Final

from jobs.runtime.progress import Offsets

_MOST: Final = 2_000


class Arrivals:
    """Where each partition ended at some times, in seconds."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, dict[tuple[str, str], int]]] = deque(maxlen=_MOST)

    def take(self, at: float, ends: Offsets) -> None:
        """Take in where the partitions end now; times only grow."""
        self._seen.append((at, {(topic, part): end for topic, of in ends.items() for part, end in of.items()}))

    def age(self, read: Offsets) -> float:
        """How long before the newest look the oldest record came that is not read yet, in seconds; 0 where all is read.

        Between two looks offsets are taken to have come at an even pace. What was there at the first look is as old as that
        look at least, and that is what is said.

        >>> arrivals = Arrivals()
        >>> for at, end in ((0.0, 100), (10.0, 200), (20.0, 300)):
        ...     arrivals.take(at, {"t": {"0": end}})
        >>> [arrivals.age({"t": {"0": offset}}) for offset in (300, 250, 100, 0)]
        [0.0, 5.0, 20.0, 20.0]
        """
        if not self._seen:
            return 0.0
        now, ends = self._seen[-1]
        places = [(topic, part) for topic, of in read.items() for part in of]
        return max(
            (now - self._came(place, read[place[0]][place[1]]) for place in places if place in ends), default=0.0
        )

    def _came(self, place: tuple[str, str], offset: int) -> float:
        looks = [(at, ends[place]) for at, ends in reversed(self._seen) if place in ends]
        if looks[0][1] <= offset:
            return self._seen[-1][0]
        for (later, end), (earlier, before) in pairwise(looks):
            if before <= offset:
                return earlier + (later - earlier) * (offset - before) / (end - before)
        return looks[-1][0]
