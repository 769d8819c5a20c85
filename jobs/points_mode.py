"""Which scores of a micro-batch of publish become points one by one, where that follows from how many come."""

from typing import Final, Literal, Protocol

import msgspec

from detection.storage import decoded
from jobs.throughput import Tally

Points = Literal["all", "sampled", "anomalies"]

_FILE: Final = "mode"


class _Mode(msgspec.Struct, frozen=True):
    """From micro-batch `since` on `points`, in the one before it `before`."""

    since: int = 0
    points: Points = "all"
    before: Points = "all"


_mode: Final = msgspec.json.Decoder(_Mode).decode


class _Folder(Protocol):
    def read_newest(self, name: str) -> bytes | None: ...
    def write_newest(self, name: str, content: bytes) -> None: ...


class PointsMode:
    """All scores, or a sample beside the anomalies: by the rate of the micro-batch before.

    The rate is of the scores' own times in Kafka, so that what is filled in after an outage is written as it would have
    been, and over `seconds` at least, since detection writes in bursts. What a micro-batch holds is fixed by publish's
    checkpoint, and a change of the mode is durable beside it before the micro-batch that it follows from is done: so a
    retry, after a restart too, writes the same points. `most`: scores a second that are all written.
    """

    def __init__(self, folder: _Folder, most: float, seconds: float) -> None:
        self._folder = folder
        self._most = most
        self._seconds = seconds
        content = folder.read_newest(_FILE)
        self._mode = _Mode() if content is None else decoded(content, f"points/{_FILE}", _mode)

    def of(self, micro_batch: int) -> Points:
        """What is written of a micro-batch. One before those that are known is of another checkpoint: all."""
        if micro_batch >= self._mode.since:
            return self._mode.points
        return self._mode.before if micro_batch == self._mode.since - 1 else "all"

    def learn(self, micro_batch: int, tally: Tally) -> None:
        """Decide on the micro-batch that follows this one, by what this one held."""
        points: Points = "all" if rate(tally, self._seconds) <= self._most else "sampled"
        before = self.of(micro_batch)
        mode = _Mode(micro_batch + 1, points, before)
        if points != before and mode != self._mode:
            self._folder.write_newest(_FILE, msgspec.json.encode(mode))
            self._mode = mode


def rate(tally: Tally, seconds: float) -> float:
    """Scores a second of Kafka's time, over so many seconds at least.

    >>> rate(Tally(scored=50_000, first_time=0, last_time=10_000), 5), rate(Tally(scored=500, first_time=7, last_time=8), 5)
    (5000.0, 100.0)
    """
    return tally.scored / max(((tally.last_time or 0) - (tally.first_time or 0)) / 1000, seconds)
