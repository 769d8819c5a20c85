"""A figure and its uncertainty: intervals over the days of one run, or over the seeds of several."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec
import numpy as np
from scipy import stats  # type: ignore[import-untyped]

from ml.arrays import Floats
from ml.metrics import Figure

REPLICATES: Final = 200
CONFIDENCE: Final = 0.95


class Estimate(msgspec.Struct, frozen=True):
    """A figure with its 95 % interval; None where there is none, and then the reason as a text.

    exists_in: of several runs, those that have the figure, as a text; None: all of them.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    reason: str | None = None
    exists_in: str | None = None


Figures = Callable[[Floats], Mapping[str, Figure]]
"""From how often each day counts (days,) to the figures."""


def over_days(days: int, figures: Figures, seed: int, replicates: int = REPLICATES) -> dict[str, Estimate]:
    """Each figure with the interval of a bootstrap that draws whole days, since the transactions of a day go together.

    The interval lies between the 2.5th and the 97.5th percentile of `replicates` draws (B. Efron, "Better Bootstrap
    Confidence Intervals", JASA 1987, calls it the percentile method). A draw in which a figure does not exist is left out
    of it; where that is more than half of them, there is no interval. Nor is there one without replicates.
    """
    whole = figures(np.ones(days))
    if days < 2 or not replicates:
        why = "an interval over days needs at least two days" if replicates else "no interval was asked for"
        return {name: Estimate(figure.value, reason=figure.reason or why) for name, figure in whole.items()}
    draws = np.random.default_rng(seed).multinomial(days, np.full(days, 1 / days), replicates)
    drawn = [figures(draw.astype(np.float64)) for draw in draws]
    return {name: _between(figure, [draw[name].value for draw in drawn]) for name, figure in whole.items()}


def _between(figure: Figure, drawn: Sequence[float | None]) -> Estimate:
    values = [value for value in drawn if value is not None]
    if figure.value is None or 2 * len(values) < len(drawn):
        return Estimate(figure.value, reason=figure.reason or "it exists on too few days for an interval")
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(values, [tail, 100 - tail])
    return Estimate(figure.value, float(low), float(high))


def over_seeds(values: Sequence[float | None]) -> Estimate:
    """The mean of a share over runs with other seeds, with Student's t interval, cut at 0 and 1.

    Runs where it does not exist are left out, and the estimate says of how many it is.

    >>> estimate = over_seeds([0.5, 0.6, 0.7])
    >>> round(estimate.value, 3), round(estimate.low, 3), round(estimate.high, 3)
    (0.6, 0.352, 0.848)
    >>> over_seeds([0.5, None, 0.7]).exists_in
    '2 of 3 runs'
    """
    estimate = _mean_over_seeds(values)
    if estimate.low is None or estimate.high is None:
        return estimate
    return msgspec.structs.replace(estimate, low=max(0.0, estimate.low), high=min(1.0, estimate.high))


def difference_over_seeds(values: Sequence[float | None]) -> Estimate:
    """The mean of what one detector has more than another on the same runs, with Student's t interval.

    >>> estimate = difference_over_seeds([0.01, -0.01, 0.03])
    >>> round(estimate.value, 3), round(estimate.low, 3), round(estimate.high, 3)
    (0.01, -0.04, 0.06)
    """
    return _mean_over_seeds(values)


def _mean_over_seeds(values: Sequence[float | None]) -> Estimate:
    known = np.array([value for value in values if value is not None])
    if not len(known):
        return Estimate(None, reason=f"none of {len(values)} runs has a value")
    mean = float(known.mean())
    exists_in = None if len(known) == len(values) else f"{len(known)} of {len(values)} runs"
    if len(known) < 2:
        return Estimate(mean, reason="an interval over seeds needs at least two runs", exists_in=exists_in)
    reach = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(known) - 1) * known.std(ddof=1) / np.sqrt(len(known)))
    return Estimate(mean, mean - reach, mean + reach, exists_in=exists_in)
