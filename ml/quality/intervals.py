"""95 % intervals of counts, shares, and of sums and ratios of estimates that have one."""

from typing import NamedTuple, Self

import numpy as np
from scipy import special  # type: ignore[import-untyped]

_TAIL = 0.025
NORMAL = -float(special.ndtri(_TAIL))


class Interval(NamedTuple):
    """An estimate, and between which values the truth lies in 95 of 100 cases."""

    value: float
    low: float
    high: float

    @classmethod
    def of_count(cls, count: float) -> Self:
        """What a count says of its expectation: the exact interval of F. Garwood, Biometrika 28, 1936."""
        low = float(special.gammaincinv(count, _TAIL)) if count else 0.0
        return cls(float(count), low, float(special.gammainccinv(count + 1, _TAIL)))

    @classmethod
    def of_share(cls, part: float, whole: float) -> Self:
        """What part / whole, whole numbers or not, says of a share; of nothing it is from 0 to 1.

        C. J. Clopper, E. S. Pearson, Biometrika 26, 1934.
        """
        if whole <= 0:
            return cls(float("nan"), 0.0, 1.0)
        part = min(part, whole)
        low = float(special.betaincinv(part, whole - part + 1, _TAIL)) if part > 0 else 0.0
        high = float(special.betainccinv(part + 1, whole - part, _TAIL)) if part < whole else 1.0
        return cls(part / whole, low, high)

    def over(self, divisor: float, log_variance: float = 0.0) -> "Interval":
        """Divided by an estimate whose logarithm has this variance; with nothing to divide by anything may be.

        The bounds are joined as in `plus`, on the scale of logarithms.
        """
        if not divisor > 0:
            return Interval(float("nan"), 0.0, float("inf"))
        value = self.value / divisor
        if not value:
            return Interval(0.0, 0.0, self.high / divisor * float(np.exp(NORMAL * np.sqrt(log_variance))))
        reach = NORMAL**2 * log_variance
        low = float("-inf") if self.low <= 0 else -np.sqrt(np.log(self.value / self.low) ** 2 + reach)
        high = np.sqrt(np.log(self.high / self.value) ** 2 + reach)
        return Interval(value, float(value * np.exp(low)), float(value * np.exp(high)))

    def widened(self, log_variance: float) -> "Interval":
        """A share that was divided by an estimate whose logarithm has this variance."""
        if not self.value > 0:
            return self
        found = self.over(1.0, log_variance)
        return Interval(self.value, min(self.low, found.low), min(1.0, max(self.high, found.high)))

    def plus(self, other: "Interval") -> "Interval":
        """The sum of two independent ones, by G. Y. Zou, A. Donner, "Construction of Confidence Limits about Effect Measures",
        Statistics in Medicine 27, 2008: each limit has the distances of its own side, added as squares."""
        value = self.value + other.value
        low = float(np.hypot(self.value - self.low, other.value - other.low))
        high = float(np.hypot(self.high - self.value, other.high - other.value))
        return Interval(value, max(0.0, value - low), value + high)


def part_of_both(one: Interval, other: Interval) -> Interval:
    """one / (one + other), of two independent estimates of what is not negative."""
    if not (one.value + other.value > 0):
        return Interval(float("nan"), 0.0, 1.0)
    if one.value == 0 or other.value == 0:
        # A ratio with 0 has no logarithm: the worst of each side.
        return Interval(one.value / (one.value + other.value), _part(one.low, other.high), _part(one.high, other.low))
    ratio = other.over(one.value)
    reaches = [
        np.hypot(_log(other.value, other.low), _log(one.high, one.value)),
        np.hypot(_log(other.high, other.value), _log(one.value, one.low)),
    ]
    low, high = ratio.value * np.exp(-reaches[0]), ratio.value * np.exp(reaches[1])
    return Interval(1 / (1 + ratio.value), float(1 / (1 + high)), float(1 / (1 + low)))


def _part(one: float, other: float) -> float:
    return one / (one + other) if one + other > 0 else 0.0


def _log(larger: float, smaller: float) -> float:
    return float("inf") if smaller <= 0 else float(np.log(larger / smaller))
