"""The threshold above which a payment may be declined at once, because nearly all that scores more is fraud.

Labels come late, and some never: of the frauds of any part only a share is known, so the share of known frauds above a score is
less than the precision there, by that share, if whether a fraud becomes known does not depend on its score (C. Elkan & K. Noto,
"Learning classifiers from only positive and unlabeled data", KDD 2008). Where scores are highest nearly all are frauds, and
there the share that is known can be seen: their estimator e3, here over some frauds instead of the one highest score.
"""

from typing import Final, NamedTuple

import numpy as np

from ml.arrays import Flags, Floats
from ml.metrics import Ranking

PRECISION: Final = 0.95
"""Of what is declined, the share that should be fraud."""

LEAST: Final = 50
HIGHEST: Final = (0.1, 0.25, 0.4)
"""The known frauds with the highest scores, as shares of them all, but at least LEAST, that say which share is known: the most
that any of these says, since a weak detector has honest rows among the others."""

_STANDARD_ERRORS: Final = 0.5
"""So much less than was seen is taken for the share that is known above a score: where chance flatters, it would be too low."""


class Declines(NamedTuple):
    """What would be declined: above which score, which share of the traffic that is, and the recall that it leaves.

    known: of the frauds, the share that is known, by which the others were found. None is what can't be said.
    """

    threshold: float | None = None
    share: float | None = None
    recall: float | None = None
    known: float | None = None


def known_share(anomaly_scores: Floats, is_known_fraud: Flags) -> float | None:
    """Of the frauds with the highest scores (n,) the share that is known; None where fewer than LEAST are known at all."""
    frauds, honest = Ranking.from_scores(is_known_fraud, anomaly_scores).curve()
    return _known_share(frauds, frauds + honest)


def _known_share(frauds: Floats, rows: Floats) -> float | None:
    """The same, from how many known frauds and how many rows (k,) are above each score, the highest score first."""
    if not len(frauds) or frauds[-1] < LEAST:
        return None
    steps = np.searchsorted(frauds, [max(LEAST, part * frauds[-1]) for part in HIGHEST])
    return float((frauds / rows)[steps].max())


def declines(anomaly_scores: Floats, is_known_fraud: Flags, least: float = 0.0) -> Declines:
    """The lowest threshold above which PRECISION of the rows are fraud, by scores (n,) and what is known of them (n,).

    The rows should be none that the model was fitted to. least: the threshold is no lower than this.
    """
    ranking = Ranking.from_scores(is_known_fraud, anomaly_scores)
    frauds, honest = ranking.curve()
    rows = frauds + honest
    share = frauds / rows
    known = _known_share(frauds, rows)
    if known is None:
        return Declines()
    surely = share - _STANDARD_ERRORS * np.sqrt(share * (1 - share) / rows)
    enough = np.flatnonzero((frauds >= max(LEAST, HIGHEST[0] * frauds[-1])) & (surely >= PRECISION * known))
    if not len(enough):
        return Declines(known=known)
    step = int(enough[-1])
    below = ranking.scores[step + 1] if step + 1 < len(ranking.scores) else 0.0
    threshold = max(float(below), least)
    declined = anomaly_scores > threshold
    return Declines(
        threshold,
        float(declined.mean()),
        float(is_known_fraud[declined].sum() / is_known_fraud.sum()),
        known,
    )
