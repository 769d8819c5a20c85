"""How many records a micro-batch takes: bounded in number by a setting, and in bytes by the sizes of records that were read."""

import time
from collections.abc import Callable
from typing import Final, NamedTuple

from pyspark import Accumulator, AccumulatorParam
from pyspark.sql import SparkSession

from jobs.source.record_sizes import Sizes
from jobs.source.stream import MOST_A_POLL

CAREFUL_POLL: Final = 10
POLL_BYTES: Final = 16 << 20
_FACTOR: Final = 2.0
_ENOUGH: Final = 100
_PAUSE_SECONDS: Final = 300.0


class Pace(NamedTuple):
    """most: records in a micro-batch. a_poll: records that a task of Spark's asks Kafka for at a time, and has unpacked."""

    most: int
    a_poll: int


def pace(most: int, most_bytes: int, sizes: Sizes | None, careful: bool = False) -> Pace:
    """For records of these sizes; where none could be seen, the setting's number.

    careful: a micro-batch has failed, perhaps because of large records among those that were not looked at: fewer a poll.

    >>> pace(400_000, 1 << 30, Sizes(450.0, 700))
    Pace(most=400000, a_poll=1000)
    >>> pace(400_000, 1 << 30, Sizes(60_000.0, 61_000))
    Pace(most=17895, a_poll=275)
    >>> pace(400_000, 1 << 30, None)
    Pace(most=400000, a_poll=1000)
    >>> pace(400_000, 1 << 30, Sizes(450.0, 700), careful=True)
    Pace(most=400000, a_poll=10)
    """
    most_a_poll = CAREFUL_POLL if careful else MOST_A_POLL
    if sizes is None:
        return Pace(most, most_a_poll)
    fitting = int(most_bytes / max(1.0, sizes.mean))
    return Pace(max(1, min(most, fitting)), max(1, min(most_a_poll, POLL_BYTES // max(1, sizes.largest))))


class Arrived(NamedTuple):
    """What tasks took in: so many records, with so many bytes of key and value."""

    records: int = 0
    total_bytes: int = 0


class _Sum(AccumulatorParam[Arrived]):
    def zero(self, value: Arrived) -> Arrived:
        return Arrived()

    def addInPlace(self, value1: Arrived, value2: Arrived) -> Arrived:
        return Arrived(value1.records + value2.records, value1.total_bytes + value2.total_bytes)


Arrivals = Accumulator[Arrived]


def arrivals(spark: SparkSession) -> Arrivals:
    """A new accumulator of what tasks take in."""
    return spark.sparkContext.accumulator(Arrived(), _Sum())


class PaceKeeper:
    """Compares what micro-batches turn out to hold with the pace that was set when the query was started.

    The number of records cannot be changed while a query runs, so it has to be started again where the bytes are off by a
    factor of two; at most every five minutes, because micro-batches that are too large succeed as well.
    """

    def __init__(self, most: int, most_bytes: int, set_pace: Pace, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._set = set_pace
        self._clock = clock
        self._started = clock()

    def off(self, arrived: Arrived) -> str | None:
        """Why the query should be started again at another pace, as a text; None where it need not."""
        if arrived.records < _ENOUGH or self._clock() - self._started < _PAUSE_SECONDS:
            return None
        mean = arrived.total_bytes / arrived.records
        wanted = pace(self._most, self._most_bytes, Sizes(mean, round(mean))).most
        if wanted * _FACTOR < self._set.most or wanted > self._set.most * _FACTOR:
            return f"records have {mean:,.0f} bytes now: {wanted:,} instead of {self._set.most:,} in a micro-batch"
        return None
