"""The threshold above which a payment may be declined at once, because nearly all that scores more is fraud.

Labels come late, and some never: of the frauds of any part only a share is known, so the share of known frauds above a score is
less than the precision there, by that share, if whether a fraud becomes known does not depend on its score (C. Elkan & K. Noto,
"Learning classifiers from only positive and unlabeled data", KDD 2008). Where scores are highest nearly all are frauds, and
there the share that is known can be seen: their estimator e3, here over a number of frauds instead of the one highest score.
"""

from typing import Final, NamedTuple

import numpy as np

from ml.arrays import Flags, Floats
from ml.metrics import Ranking

PRECISION: Final = 0.95
"""Of what is declined, the share that should be fraud."""

LEAST: Final = 50
"""Known frauds, of the highest scores, that say which share is known; no fewer are above a decline threshold."""


class Declines(NamedTuple):
    """What would be declined: above which score, which share of the traffic that is, and the recall that it leaves.

    known: of the frauds, the share that is known, by which the others were found. All are None where that can't be said.
    """

    threshold: float | None = None
    share: float | None = None
    recall: float | None = None
    known: float | None = None


def declines(anomaly_scores: Floats, is_known_fraud: Flags, least: float = 0.0) -> Declines:
    """The lowest threshold above which PRECISION of the rows are fraud, by scores (n,) and what is known of them (n,).

    The rows should be none that the model was fitted to. least: the threshold is no lower than this.
    """
    ranking = Ranking.from_scores(is_known_fraud, anomaly_scores)
    frauds, honest = ranking.curve()
    enough = frauds >= LEAST
    if not enough.any():
        return Declines()
    known_share = frauds / (frauds + honest)
    known = float(known_share[enough].max())
    step = int(np.flatnonzero(enough & (known_share >= PRECISION * known))[-1])
    below = ranking.scores[step + 1] if step + 1 < len(ranking.scores) else 0.0
    threshold = max(float(below), least)
    declined = anomaly_scores > threshold
    return Declines(
        threshold,
        float(declined.mean()),
        float(is_known_fraud[declined].sum() / is_known_fraud.sum()),
        known,
    )
