"""Which rows without a label can't be taken for honest: those that are likely a fraud whose label has not come, or never will.

Labels say of fraud alone, late, and of some never: most of what has none is honest, but not what looks like the known frauds.
A detector that learns that such rows are honest learns that frauds are.
"""

from typing import Final

import numpy as np

from ml.arrays import Flags, Floats
from ml.thresholds.decline import known_share

LIKELY: Final = 0.5
"""Rows that are fraud with a probability above this are left out."""


def look_alikes(probability: Floats, is_known_fraud: Flags) -> Flags:
    """Which rows (n,) have no label and are likely fraud all the same.

    probability: (n,) that a row is a *known* fraud, by a model that was fitted to other rows and calibrated on these. If
    whether a fraud is known does not depend on what it looks like, and c of the frauds are known, an unlabelled row is fraud
    with probability (1 - c) / c · p / (1 - p): C. Elkan & K. Noto, "Learning classifiers from only positive and unlabeled
    data", KDD 2008, section 3. c is seen where scores are highest (`ml.thresholds.decline.known_share`); where too few frauds
    are known for that, or all are, no row is left out.

    >>> known = np.arange(1000) % 2 < np.repeat([0, 1], [800, 200])  # of the last 200, all fraud, every other one
    >>> int(look_alikes(np.repeat([0.001, 0.5], [800, 200]), known).sum())
    100
    """
    known = known_share(probability, is_known_fraud)
    if known is None:
        return np.zeros(len(probability), np.bool_)
    fraud = (1 - known) * probability
    likely: Flags = ~is_known_fraud & (fraud > LIKELY * known * (1 - probability))
    return likely
