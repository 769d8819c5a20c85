"""What profiles cost: the trial with them over the one without."""

from collections.abc import Callable
from typing import Final, Literal

from bench.figures import share
from bench.result import Result, Trial

WITHOUT: Final = "without profiles"
WITH: Final = "with profiles"

Percentile = Literal["p50", "p99"]


def throughput_share(result: Result) -> float | None:
    """Of detect with publish: with profiles over without; None where one was not measured."""
    without, beside = _trial(result, WITHOUT), _trial(result, WITH)
    if without is None or beside is None or without.drained is None or beside.drained is None:
        return None
    return share(beside.drained.throughput, without.drained.throughput)


def latency_growth(percentile: Percentile) -> Callable[[Result], float | None]:
    """By how many per cent a latency to `scores` grows with profiles; None where one was not measured."""

    def value(result: Result) -> float | None:
        without, beside = _latency(result, WITHOUT, percentile), _latency(result, WITH, percentile)
        found = share(beside, without)
        return None if found is None else 100 * (found - 1)

    return value


def _latency(result: Result, name: str, percentile: Percentile) -> float | None:
    found = _trial(result, name)
    if found is None or found.paced is None:
        return None
    return found.paced.scores.p50 if percentile == "p50" else found.paced.scores.p99


def _trial(result: Result, name: str) -> Trial | None:
    return next((trial for trial in result.profiles if trial.system == name), None)
