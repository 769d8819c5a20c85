"""What a micro-batch of publish adds up to: counts, latency percentiles, rate and lag, as one point."""

import math
from collections.abc import Mapping
from typing import Any, Final

import msgspec
import numpy as np

from sinks.line_protocol import points

MEASUREMENT: Final = "throughput"

Positions = Mapping[int, int]
"""Partition of the transactions topic → offset."""


class Tally(msgspec.Struct):
    """Sums over some of a micro-batch's records; each task makes one, and the driver adds them up.

    `latency` counts records by latency in ms; `first` and `next` are the transactions' offsets by partition: the
    smallest that came, and the largest plus one. Times are Kafka's, in ms.
    """

    scored: int = 0
    late: int = 0
    anomalies: int = 0
    invalid: int = 0
    unreadable: int = 0
    example: str | None = None
    model_version: int | None = None
    first_time: int | None = None
    last_time: int | None = None
    latency: dict[int, int] = {}
    first: dict[int, int] = {}
    next: dict[int, int] = {}

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(
            scored=self.scored + other.scored,
            late=self.late + other.late,
            anomalies=self.anomalies + other.anomalies,
            invalid=self.invalid + other.invalid,
            unreadable=self.unreadable + other.unreadable,
            example=self.example or other.example,
            model_version=_either(max, self.model_version, other.model_version),
            first_time=_either(min, self.first_time, other.first_time),
            last_time=_either(max, self.last_time, other.last_time),
            latency=_merged(int.__add__, self.latency, other.latency),
            first=_merged(min, self.first, other.first),
            next=_merged(max, self.next, other.next),
        )


def _either(choose: Any, one: int | None, other: int | None) -> int | None:
    known = [value for value in (one, other) if value is not None]
    return choose(known) if known else None


def _merged(choose: Any, one: dict[int, int], other: dict[int, int]) -> dict[int, int]:
    return one | {key: choose(one[key], value) if key in one else value for key, value in other.items()}


def percentile(counts: Mapping[int, int], share: float) -> int:
    """The smallest value that at least `share` of the counted ones don't exceed (nearest rank; at least one is counted).

    >>> percentile({10: 98, 500: 1, 900: 1}, 0.99)
    500
    """
    values = sorted(counts)
    reached = np.cumsum([counts[value] for value in values])
    rank = max(1, math.ceil(round(share * int(reached[-1]), 9)))
    return values[int(np.searchsorted(reached, rank))]


def _latency(tally: Tally, share: float) -> float | None:
    return float(percentile(tally.latency, share)) if tally.latency else None


class Throughput:
    """Turns the tallies of one run's micro-batches, in their order, into points.

    All but the counts is measured at the micro-batch's largest Kafka timestamp T, not at the time of writing, so that
    what is filled in after an outage shows what was, and a retry writes the same.
    """

    def __init__(self) -> None:
        self._time: int | None = None
        self._arrived: Positions = {}
        self._next: dict[int, int] = {}

    def point(self, tally: Tally, micro_batch: int, arrived: Positions | None) -> bytes:
        """One line of line protocol, stamped T ms plus the micro-batch's number in ns: two may share their T.

        `tally` has at least one record. `arrived`: the transactions' end offsets at T, None where Kafka did not say;
        `input` and `lag` are left out then.
        """
        assert tally.last_time is not None
        self._next = _merged(max, self._next, tally.next)
        fields = {
            "input": self._input(tally, arrived),
            "scored": tally.scored,
            "invalid": tally.invalid,
            "late": tally.late,
            "anomalies": tally.anomalies,
            "rows_per_second": self._rate(tally, tally.last_time),
            **{f"latency_p{q}_ms": _latency(tally, q / 100) for q in (50, 95, 99)},
            "lag": self._lag(arrived),
            "model_version": tally.model_version,
        }
        self._time = max(tally.last_time, self._time or 0)
        self._arrived = arrived or self._arrived
        time_ns = tally.last_time * 1_000_000 + micro_batch % 1_000_000
        return points(MEASUREMENT, {}, {name: [value] for name, value in fields.items()}, [time_ns])

    def _rate(self, tally: Tally, time: int) -> float | None:
        """Records by second since the previous micro-batch's T; a run's first takes its own span. None where no time passed."""
        since = tally.first_time if self._time is None else self._time
        milliseconds = time - (since or time)
        return (tally.scored + tally.invalid) * 1000 / milliseconds if milliseconds > 0 else None

    def _input(self, tally: Tally, arrived: Positions | None) -> int | None:
        """Transactions that arrived since the last micro-batch that knew; for a run's first, since its first record."""
        if arrived is None:
            return None
        since = {**tally.first, **self._arrived}
        return sum(max(0, offset - since.get(partition, offset)) for partition, offset in arrived.items())

    def _lag(self, arrived: Positions | None) -> int | None:
        """Transactions that had arrived at T and had no score or dead letter yet, on the partitions that this run has seen."""
        if arrived is None:
            return None
        return sum(max(0, offset - self._next.get(partition, offset)) for partition, offset in arrived.items())
