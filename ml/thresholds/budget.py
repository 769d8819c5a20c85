"""The alert budget, and the one threshold that keeps to it."""

from typing import Final

import numpy as np

from ml.arrays import Floats

DEFAULT_BUDGET: Final = 0.005
"""The share of traffic that may become alerts."""


def threshold_for_budget(anomaly_scores: Floats, budget: float) -> float:
    """The lowest of the scores (n,) that at most a share `budget` of them lies above.

    It is an order statistic and not an interpolated quantile, and scores equal to it are normal: so ties, however many,
    leave the budget unspent and never exceed it.
    """
    if not 0 < budget < 1:
        raise ValueError(
            f"the alert budget is a share of the traffic between 0 and 1, but it is {budget:g}; 0.005 is 0.5 %"
        )
    scores = np.asarray(anomaly_scores, np.float64)
    if len(scores) == 0 or not np.isfinite(scores).all():
        raise ValueError(
            f"a threshold needs finite scores, but of {len(scores)} only {np.isfinite(scores).sum()} are finite"
        )
    place = len(scores) - 1 - int(budget * len(scores))
    return float(np.partition(scores, place)[place])
