"""From time stamps to figures: throughput, latency, lag and growth, as pure functions. All times are in milliseconds."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

Times = npt.NDArray[np.int64]

QUANTILES: Final = (*(q / 100 for q in range(100)), 0.995, 0.999, 1.0)
"""What is kept of a distribution: enough to draw it."""

WARM_UP_MOST: Final = 1 / 3
"""The warm-up ends at the latest when this share of the outputs is there."""


class Latency(msgspec.Struct):
    """Milliseconds from a record's input to its output. quantiles: at `QUANTILES`, by nearest rank; empty without records."""

    records: int
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None
    max: float | None = None
    mean: float | None = None
    quantiles: list[float] = []


def latency(milliseconds: npt.NDArray[np.int64] | Sequence[float]) -> Latency:
    """The distribution of latencies (n,).

    >>> found = latency([10, 20, 30, 500])
    >>> found.records, found.p50, found.p99, found.max
    (4, 20.0, 500.0, 500.0)
    """
    values = np.asarray(milliseconds, np.float64)
    if len(values) == 0:
        return Latency(0)
    quantiles = np.quantile(values, QUANTILES, method="inverted_cdf")
    p50, p95, p99 = np.quantile(values, (0.50, 0.95, 0.99), method="inverted_cdf").tolist()
    return Latency(len(values), p50, p95, p99, float(values.max()), float(values.mean()), quantiles.tolist())


class Window(NamedTuple):
    """From `start` (exclusive) to `end` (inclusive)."""

    start: int
    end: int

    @property
    def seconds(self) -> float:
        return (self.end - self.start) / 1000


def measured_window(outputs: Times, warm_up_ms: float, cut_ms: int | None = None) -> Window | None:
    """The part of a run that counts, from the sorted times (n,) of its outputs; None where there are too few of them.

    The warm-up is left out: so much time from the first output on, though never more than the time in which the first
    third came. A system that works in micro-batches writes in bursts. So that whole bursts count, the window opens before a
    long pause of the output within the first third of what is left, and closes with the last output; where the system was
    cut off at `cut_ms` it closes before a long pause within the last third.
    """
    if len(outputs) < 2 or outputs[0] == outputs[-1]:
        return None
    last = int(outputs[-1])
    ready = min(outputs[0] + warm_up_ms, outputs[int(len(outputs) * WARM_UP_MOST)])
    third = (last - ready) / 3
    start = _before_pause(outputs, ready, ready + third)
    end = last if cut_ms is None else _before_pause(np.append(outputs, max(cut_ms, last)), last - third, last)
    return Window(start, end) if end > start else Window(int(outputs[0]), last)


def _before_pause(outputs: Times, since: float, until: float) -> int:
    """The time of an output within [since, until], at least of the first one from `since` on, before a long pause.

    That is the first pause of at least half the length of the longest: the longest one itself may be a rare stall, and
    would weigh on a window that opens with it.
    """
    begin = int(np.searchsorted(outputs, since))
    end = max(int(np.searchsorted(outputs, until, side="right")), begin + 1)
    pauses = np.diff(outputs[begin : end + 1])
    return int(outputs[begin + (int(np.argmax(2 * pauses >= pauses.max())) if len(pauses) else 0)])


def count_in(outputs: Times, window: Window) -> int:
    """How many of the sorted times lie in the window."""
    start, end = np.searchsorted(outputs, (window.start, window.end), side="right")
    return int(end - start)


def outputs_a_second(outputs: Times, window: Window | None) -> float:
    """Outputs a second within the window.

    >>> outputs_a_second(np.arange(0, 10_001, 10), Window(5_000, 10_000))
    100.0
    """
    return 0.0 if window is None else count_in(outputs, window) / window.seconds


class Lag(msgspec.Struct):
    """Transactions that were sent and had not come out yet, once a second; growth_per_second: the slope of a line through."""

    end: int
    most: int
    growth_per_second: float
    each_second: list[int]


def lag(inputs: Times, outputs: Times, since: int, until: int) -> Lag:
    """Lag from `since` to `until`, from sorted times of all inputs and of all outputs.

    >>> lag(np.arange(0, 10_000, 10), np.arange(500, 10_500, 10), 2_000, 8_000).end
    50
    """
    moments = np.arange(since, until + 1, 1000)
    behind = np.searchsorted(inputs, moments, side="right") - np.searchsorted(outputs, moments, side="right")
    slope = float(np.polyfit(moments / 1000, behind, 1)[0]) if len(moments) > 1 else 0.0
    return Lag(int(behind[-1]), int(behind.max()), slope, behind.tolist())


class Published(NamedTuple):
    """What could be read in InfluxDB at a moment: so many scores in all, those up to this time of the scores topic."""

    seen_ms: int
    scores: int
    scored_until_ms: int


def published_rate(seen: Sequence[Published], window: Window | None) -> float | None:
    """Scores a second that became readable, from the first sighting in the window to the last of all.

    Both lie at the end of one of publish's micro-batches. None with fewer than two sightings.
    """
    if window is None:
        return None
    later = [sight for sight in seen if sight.seen_ms >= window.start]
    if len(later) < 2 or later[-1].seen_ms == later[0].seen_ms:
        return None
    return (later[-1].scores - later[0].scores) * 1000 / (later[-1].seen_ms - later[0].seen_ms)


def readable_latency(inputs: Times, outputs: Times, seen: Sequence[Published]) -> Latency:
    """From input (n,) to being readable, of those records whose output (n,) was covered by a sighting.

    A score counts as readable once a sighting covers the time at which it was written to its topic: from above, since
    sightings come after the last write of a micro-batch.
    """
    reached = np.maximum.accumulate([sight.scored_until_ms for sight in seen]) if seen else np.empty(0)
    found = np.searchsorted(reached, outputs, side="left")
    covered = found < len(seen)
    seen_ms = np.array([sight.seen_ms for sight in seen] or [0], np.int64)
    return latency(seen_ms[found[covered]] - inputs[covered])


def difference(later: Mapping[str, float], earlier: Mapping[str, float]) -> dict[str, float]:
    """What has been added since, by key; a key that was not there before counts from 0."""
    return {key: value - earlier.get(key, 0.0) for key, value in later.items()}


def share(part: float | None, whole: float | None) -> float | None:
    """part / whole, None where one is missing or whole is 0."""
    return None if part is None or not whole else part / whole


def second_by_second(sent: Times, written: Times, since: int) -> list[list[float]]:
    """[p50, p99] of the latency of what was sent in each second from `since` on; nothing for a second without records."""
    second = (sent - since) // 1000
    waited = written - sent
    parts = (waited[second == number] for number in range(int(second.max(initial=-1)) + 1))
    return [np.quantile(part, (0.5, 0.99), method="inverted_cdf").tolist() for part in parts if len(part)]
