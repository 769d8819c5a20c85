"""What a micro-batch of publish adds up to: counts, latency percentiles, rate and lag, as one point."""

import math
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np

from jobs.amounts import Amounts, added
from sinks.line_protocol import points

MEASUREMENT: Final = "throughput"

LATEST_MS: Final = (2**63 - 2) // 1_000_000 - 1
"""The last millisecond (in the year 2262) of which InfluxDB can hold all nanoseconds."""

Positions = Mapping[int, int]
"""Partition of the transactions topic → offset."""


class Arrived(NamedTuple):
    """How far the transactions topic had grown at a time, and how far it has by now: end offsets."""

    then: Positions
    now: Positions


Span = tuple[int, int]
"""Offsets of a partition: the first, and the one after the last."""

Count = Callable[[Mapping[int, Span]], Mapping[int, int]]
"""How many records partitions hold in spans; it may leave out what is long, and is then estimated."""


def _as_many_as_offsets(spans: Mapping[int, Span]) -> Mapping[int, int]:
    return {partition: end - start for partition, (start, end) in spans.items()}


MOST_HELD: Final = 2_000

Held = tuple[bytes, int, int, int]


class Tally(msgspec.Struct):
    """Sums over some of a micro-batch's records; each task makes one, and the driver adds them up.

    `latency` counts records by latency in ms; `first`, `next` and `records` are of the transactions by partition: the
    smallest offset that came, the largest plus one, and how many came. Times are Kafka's, in ms. `found`: by tag, texts that
    may become its values; `amounts`: of the scores; `dead`: the invalid ones by kind of reason; `undecided`: how many scores
    were counted and not written because of such texts; `held`: the first MOST_HELD of them, each its JSON, its record's Kafka
    time (ms), partition and offset; `sums`: of each task the sums of what it did not hold (`jobs.score_sums`).
    """

    scored: int = 0
    late: int = 0
    anomalies: int = 0
    currency_unknown: int = 0
    extras_refused: int = 0
    invalid: int = 0
    unreadable: int = 0
    example: str | None = None
    model_version: int | None = None
    first_time: int | None = None
    last_time: int | None = None
    latency: dict[int, int] = {}
    first: dict[int, int] = {}
    next: dict[int, int] = {}
    records: dict[int, int] = {}
    found: dict[str, list[str]] = {}
    amounts: Amounts = {}
    dead: dict[str, int] = {}
    undecided: int = 0
    held: list[Held] = []
    sums: list[bytes] = []

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(
            scored=self.scored + other.scored,
            late=self.late + other.late,
            anomalies=self.anomalies + other.anomalies,
            currency_unknown=self.currency_unknown + other.currency_unknown,
            extras_refused=self.extras_refused + other.extras_refused,
            invalid=self.invalid + other.invalid,
            unreadable=self.unreadable + other.unreadable,
            example=self.example or other.example,
            model_version=_either(max, self.model_version, other.model_version),
            first_time=_either(min, self.first_time, other.first_time),
            last_time=_either(max, self.last_time, other.last_time),
            latency=_merged(int.__add__, self.latency, other.latency),
            first=_merged(min, self.first, other.first),
            next=_merged(max, self.next, other.next),
            records=_merged(int.__add__, self.records, other.records),
            found=_merged(lambda one, more: list(dict.fromkeys([*one, *more])), self.found, other.found),
            amounts=added(self.amounts, other.amounts),
            dead=_merged(int.__add__, self.dead, other.dead),
            undecided=self.undecided + other.undecided,
            held=(self.held + other.held)[:MOST_HELD],
            sums=self.sums + other.sums,
        )


def _either(choose: Any, one: int | None, other: int | None) -> int | None:
    known = [value for value in (one, other) if value is not None]
    return choose(known) if known else None


def _merged(choose: Any, one: dict[Any, Any], other: dict[Any, Any]) -> dict[Any, Any]:
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
    what is filled in after an outage shows what happened, and a retry writes the same.
    """

    def __init__(self, count: Count = _as_many_as_offsets) -> None:
        self._count = count
        self._time: int | None = None
        self._since: dict[int, int] = {}
        self._next: dict[int, int] = {}
        self._records: dict[int, int] = {}
        self._arrived: dict[int, int] = {}

    def point(self, tally: Tally, micro_batch: int, arrived: Arrived | None) -> bytes:
        """One line of line protocol, stamped T ms plus the micro-batch's number in ns: two may share their T.

        `tally` has at least one record. `arrived`: of the transactions at T, None where Kafka did not say; `input` and
        `lag` are left out then.
        """
        assert tally.last_time is not None
        self._take(tally, arrived)
        waiting = None if arrived is None else self._waiting(arrived.then)
        fields = {
            "input": None if arrived is None or waiting is None else self._input(arrived.then, waiting),
            "scored": tally.scored,
            "invalid": tally.invalid,
            "late": tally.late,
            "anomalies": tally.anomalies,
            "currency_unknown": tally.currency_unknown or None,
            "extras_refused": tally.extras_refused or None,
            "rows_per_second": self._rate(tally, tally.last_time),
            **{f"latency_p{q}_ms": _latency(tally, q / 100) for q in (50, 95, 99)},
            "lag": None if waiting is None else sum(waiting.values()),
            "model_version": tally.model_version,
        }
        self._time = max(tally.last_time, self._time or 0)
        time_ns = tally.last_time * 1_000_000 + micro_batch % 1_000_000
        return points(MEASUREMENT, {}, {name: [value] for name, value in fields.items()}, [time_ns])

    def _rate(self, tally: Tally, time: int) -> float | None:
        """Records by second since the previous micro-batch's T; a run's first takes its own span. None where no time passed."""
        since = tally.first_time if self._time is None else self._time
        milliseconds = time - (since or time)
        return (tally.scored + tally.invalid) * 1000 / milliseconds if milliseconds > 0 else None

    def _take(self, tally: Tally, arrived: Arrived | None) -> None:
        """Take a tally in. An offset that the topic does not have was invented by others, or is of a topic since deleted."""
        ends = _merged(max, self._next, tally.next) if arrived is None else arrived.now
        for gone in [partition for partition, after in self._next.items() if after > ends.get(partition, 0)]:
            for kept in (self._since, self._next, self._records, self._arrived):
                kept.pop(gone, None)
        for partition, after in tally.next.items():
            if after <= ends.get(partition, 0):
                self._since.setdefault(partition, tally.first[partition])
                self._next[partition] = max(after, self._next.get(partition, 0))
                self._records[partition] = self._records.get(partition, 0) + tally.records[partition]

    def _input(self, arrived: Positions, waiting: Mapping[int, int]) -> int:
        """Transactions that arrived since the last micro-batch that knew; for a run's first, since its first record."""
        more = 0
        for partition, end in arrived.items():
            since = self._since.setdefault(partition, end)
            after = self._next.get(partition, end)
            without_record = max(0, after - since - self._records[partition]) if partition in self._next else 0
            total = max(0, min(after, end) - since - without_record) + waiting.get(partition, 0)
            before = self._arrived.get(partition, 0)
            self._arrived[partition] = max(before, total)
            more += max(0, total - before)
        return more

    def _waiting(self, arrived: Positions) -> dict[int, int]:
        """Transactions that had arrived and had no score or dead letter yet, on the partitions that this run has seen."""
        spans = {p: (self._next[p], end) for p, end in arrived.items() if end > self._next.get(p, end)}
        counted = self._count(spans) if spans else {}
        return {p: counted[p] if p in counted else self._estimated(p, *span) for p, span in spans.items()}

    def _estimated(self, partition: int, start: int, end: int) -> int:
        """Records in a long span, estimated by the share of the offsets before it that held any."""
        before = self._next[partition] - self._since[partition]
        share = min(1.0, self._records[partition] / before) if before > 0 else 1.0
        return round((end - start) * share)
