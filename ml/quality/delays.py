"""How long frauds take to become known, from labels of which the late ones are still missing."""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from ml.arrays import Floats, Ints

_LEAST_SHARE: Final = 0.2


@dataclass(frozen=True, eq=False)
class DelayCurve:
    """Of the frauds that become known within `horizon` (ms) the share that is known after a delay.

    delays: (k,) ms, ascending. shares: (k,) known up to and with each; the last is 1. variances: (k,) of the logarithm of each.
    """

    delays: Ints
    shares: Floats
    variances: Floats
    horizon: int

    @classmethod
    def from_delays(cls, delays: Ints, ages: Ints) -> Self:
        """From the frauds that are known by now: delays (n,) from transaction to label, ages (n,) from transaction to now, ms.

        A fraud is among them only because its delay is not above its age, so short delays are seen too often. Where time
        runs backwards this is delayed entry, for which the product-limit estimator is right: S. W. Lagakos, L. M. Barraj,
        V. De Gruttola, "Nonparametric Analysis of Truncated Survival Data, with Application to AIDS", Biometrika 75, 1988;
        the variance is Greenwood's. What takes longer than the oldest is unknown to it. Raises ValueError where a delay is
        above its age.
        """
        if (delays > ages).any():
            raise ValueError("a fraud that is known can't have a delay above its age")
        if not len(delays):
            return cls(np.empty(0, np.int64), np.empty(0), np.empty(0), 0)
        steps, known = np.unique(delays, return_counts=True)
        # At risk of a delay of just so long: not longer ones, and old enough to be seen with it.
        at_risk = np.searchsorted(np.sort(delays), steps, "right") - np.searchsorted(np.sort(ages), steps, "left")
        at_risk += (
            known == at_risk
        )  # of a few alone the product would be 0, and nothing could be said of shorter delays
        step, spread = np.log1p(-known / at_risk), known / (at_risk * (at_risk - known))
        later = np.append(np.cumsum(step[::-1])[::-1][1:], 0.0)
        variance = np.append(np.cumsum(spread[::-1])[::-1][1:], 0.0)
        return cls(steps, np.exp(later), variance, int(ages.max()))

    def weights(self, ages: Ints) -> Floats:
        """(n,) for how many each of n known frauds of these ages (ms) stands: 1 over the share that is known after so long; of
        those after so short a time that hardly any is known 0, since one of them would stand for too many."""
        if not len(self.delays):
            return np.zeros(len(ages))
        shares = np.append(0.0, self.shares)[np.searchsorted(self.delays, ages, "right")]
        return np.where(shares >= _LEAST_SHARE, 1 / np.maximum(shares, _LEAST_SHARE), 0.0)

    def ripeness(self, ages: Ints, weights: Floats) -> tuple[float, float]:
        """Of frauds that are as old as these (k,) ms the share that is known, and the variance of its logarithm; NaN where
        nothing is known of delays. weights: (k,) how many are of each age; where all are 0, they count alike."""
        if not len(self.delays) or not len(ages):
            return float("nan"), float("nan")
        weights = weights if weights.any() else np.ones(len(ages))
        places = np.searchsorted(self.delays, ages, "right")
        shares, variances = (np.append(0.0, array)[places] for array in (self.shares, self.variances))
        return float(np.average(shares, weights=weights)), float(np.average(variances, weights=weights))
