"""How many records a micro-batch takes: bounded in number by a setting, and in bytes by the sizes of records that were read."""

import time
from collections.abc import Callable
from typing import Final, NamedTuple

from pyspark import Accumulator, AccumulatorParam
from pyspark.sql import SparkSession

from jobs.source.record_sizes import Sizes
from jobs.source.stream import MOST_A_POLL

CAREFUL_POLLS: Final = (MOST_A_POLL, 100, 10, 1)
"""Records a poll where memory was short so many times. A record costs Spark's tasks 4 µs, at 100 a poll 5 and at 10 23."""

POLL_BYTES: Final = 256 << 20
"""What the records may have that all tasks together have unpacked at a time."""

_FACTOR: Final = 2.0
_ENOUGH: Final = 100
_PAUSE_SECONDS: Final = 300.0


class Pace(NamedTuple):
    """most: records in a micro-batch. a_poll: records that a task of Spark's asks Kafka for at a time, and has unpacked.

    careful: fewer than their sizes ask for, because of records among those that nobody looked at.
    """

    most: int
    a_poll: int
    careful: bool = False


def polled(largest: int, tasks: int) -> int:
    """Records a poll, where a record may have so many bytes and so many tasks read at once.

    >>> polled(700, 4), polled(1_000_000, 4), polled(1 << 30, 4)
    (1000, 67, 1)
    """
    return max(1, min(MOST_A_POLL, POLL_BYTES // max(1, tasks) // max(1, largest)))


def costly(found: Pace) -> bool:
    """Whether a query is so careful that to start it again, for a second, is worth it.

    >>> costly(Pace(400_000, 100, careful=True)), costly(Pace(400_000, 10, careful=True))
    (False, True)
    """
    return found.careful and found.a_poll < CAREFUL_POLLS[1]


def pace(most: int, most_bytes: int, sizes: Sizes | None, tasks: int = 4, short_of_memory: int = 0) -> Pace:
    """For records of these sizes; where none could be seen, the setting's number.

    short_of_memory: how many times in a row the coming micro-batch took more than there is, or may have.

    >>> pace(400_000, 1 << 30, Sizes(450.0, 700))
    Pace(most=400000, a_poll=1000, careful=False)
    >>> pace(400_000, 1 << 30, Sizes(60_000.0, 161_000))
    Pace(most=17895, a_poll=416, careful=False)
    >>> pace(400_000, 1 << 30, None)
    Pace(most=400000, a_poll=1000, careful=False)
    >>> pace(400_000, 1 << 30, Sizes(450.0, 700), short_of_memory=2)
    Pace(most=400000, a_poll=10, careful=True)
    """
    careful = CAREFUL_POLLS[min(short_of_memory, len(CAREFUL_POLLS) - 1)]
    fitting = most if sizes is None else int(most_bytes / max(1.0, sizes.mean))
    a_poll = MOST_A_POLL if sizes is None else polled(sizes.largest, tasks)
    return Pace(max(1, min(most, fitting)), min(a_poll, careful), careful < a_poll)


class Arrived(NamedTuple):
    """What tasks took in: so many records, with so many bytes of key and value, the largest of them with so many."""

    records: int = 0
    total_bytes: int = 0
    largest: int = 0


class _Sum(AccumulatorParam[Arrived]):
    def zero(self, value: Arrived) -> Arrived:
        return Arrived()

    def addInPlace(self, value1: Arrived, value2: Arrived) -> Arrived:
        largest = max(value1.largest, value2.largest)
        return Arrived(value1.records + value2.records, value1.total_bytes + value2.total_bytes, largest)


Arrivals = Accumulator[Arrived]


def arrivals(spark: SparkSession) -> Arrivals:
    """A new accumulator of what tasks take in."""
    return spark.sparkContext.accumulator(Arrived(), _Sum())


class PaceKeeper:
    """Compares what micro-batches turn out to hold with the pace that was set when the query was started.

    Neither number can be changed while a query runs, so it has to be started again: where the bytes are off by a factor of
    two, or more records could be asked for at a time; not oftener than every five minutes, because micro-batches that are
    too large come through as well. A query whose care is costly is started again as soon as the micro-batch came through
    that this was for.

    largest: of the records that came in the last five to ten minutes.
    """

    def __init__(
        self, most: int, most_bytes: int, set_pace: Pace, tasks: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._set = set_pace
        self._tasks = tasks
        self._clock = clock
        self._since = clock()
        self._largest, self._largest_before = 0, 0

    @property
    def largest(self) -> int:
        return max(self._largest, self._largest_before)

    def off(self, arrived: Arrived) -> str | None:
        """Why the query should be started again at another pace, in words; None where it need not."""
        self._largest = max(self._largest, arrived.largest)
        now = self._clock()
        passed = now - self._since >= _PAUSE_SECONDS
        if not arrived.records or not (passed or costly(self._set)):
            return None
        again = self._larger_polls() or (self._other_number(arrived) if passed else None)
        if passed:
            self._since, self._largest, self._largest_before = now, 0, self._largest
        return again

    def _larger_polls(self) -> str | None:
        wanted = polled(self.largest, self._tasks)
        if wanted < self._set.a_poll * _FACTOR:
            return None
        return f"the largest record had {self.largest:,} bytes: {wanted} instead of {self._set.a_poll} are asked for at a time"

    def _other_number(self, arrived: Arrived) -> str | None:
        if arrived.records < _ENOUGH:
            return None
        mean = arrived.total_bytes / arrived.records
        wanted = pace(self._most, self._most_bytes, Sizes(mean, round(mean))).most
        if wanted * _FACTOR < self._set.most or wanted > self._set.most * _FACTOR:
            return f"records have {mean:,.0f} bytes now: {wanted:,} instead of {self._set.most:,} in a micro-batch"
        return None
