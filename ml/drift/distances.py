"""How far two histograms are from each other, and whether chance alone would give as much: pure functions on counts.

All take counts (…, B) of a window and of its reference; leading axes are broadcast.
"""

from typing import Final

import numpy as np

from ml.arrays import Floats, Ints

_PSEUDO: Final = 0.5


def psi(window: Ints, reference: Ints) -> Floats:
    """The population stability index Σ (p - q) ln(p / q) of the shares, of counts plus one half, so that none is 0: (…,).

    A bin that both lack does not count.

    0: the same; by custom 0.1 is a moderate shift and 0.25 a large one. N. Siddiqi, "Credit Risk Scorecards", 2006.

    >>> psi(np.array([50, 50]), np.array([50, 50])).tolist()
    0.0
    """
    p, q = _shares(window, reference)
    return np.asarray(((p - q) * _log(p, q)).sum(-1))


def jensen_shannon(window: Ints, reference: Ints) -> Floats:
    """The Jensen–Shannon divergence of the shares in bits, from 0 to 1: (…,). J. Lin, IEEE Trans. Inf. Theory 37, 1991.

    >>> jensen_shannon(np.array([1_000_000, 0]), np.array([0, 1_000_000])).round(3).tolist()
    1.0
    """
    p, q = _shares(window, reference)
    middle = (p + q) / 2
    return np.asarray((p * _log(p, middle) + q * _log(q, middle)).sum(-1) / (2 * np.log(2)))


def kolmogorov_smirnov(window: Ints, reference: Ints) -> Floats:
    """The largest difference of the cumulated shares at the bins' ends: (…,). The true one is at least as large.

    >>> kolmogorov_smirnov(np.array([5, 5, 0]), np.array([0, 5, 5])).round(3).tolist()
    0.5
    """
    sums = [counts.cumsum(-1) / np.maximum(counts.sum(-1, keepdims=True), 1) for counts in (window, reference)]
    return np.asarray(np.abs(sums[0] - sums[1]).max(-1))


def chi_square(window: Ints, reference: Ints) -> tuple[Floats, Ints]:
    """Pearson's statistic of homogeneity, (…,), and its degrees of freedom, (…,): the bins in use less one."""
    n, m = (counts.sum(-1, keepdims=True).astype(np.float64) for counts in (window, reference))
    together = window + reference
    expected = together * n / np.maximum(n + m, 1.0)
    # Of two samples the squares of the second are those of the first times n / m.
    square = np.divide((window - expected) ** 2, expected, out=np.zeros(expected.shape), where=expected > 0)
    statistic = square.sum(-1) * (1 + np.divide(n, m, out=np.zeros(n.shape), where=m > 0)[..., 0])
    freedom = np.maximum((together > 0).sum(-1) - 1, 0)
    return np.asarray(statistic), np.asarray(freedom, np.int64)


def p_value(statistic: Floats, freedom: Ints, dispersion: Floats) -> Floats:
    """The chance of a statistic (…,) as large where nothing has changed; 1 where there is one bin.

    dispersion: (…,) what the statistic is divided by, since payments come in groups: of one customer, of one campaign. It is
    the usual statistic per degree of freedom, at least 1 (J. N. K. Rao, A. J. Scott, "On Chi-squared Tests for Multiway
    Contingency Tables with Cell Proportions Estimated from Survey Data", Ann. Statist. 12, 1984).
    """
    from scipy import stats  # type: ignore[import-untyped]  # slow to import, and training needs none of it

    chance = stats.chi2.sf(statistic / np.maximum(dispersion, 1.0), np.maximum(freedom, 1))
    return np.where(freedom > 0, chance, 1.0)


def chance_psi(window: Ints, reference: Ints, dispersion: Floats) -> Floats:
    """The PSI that chance alone gives, about: (bins in use - 1) (1/n + 1/m), times the dispersion: (…,).

    B. Yurdakul, "Statistical Properties of Population Stability Index", 2018.
    """
    freedom = np.maximum(((window + reference) > 0).sum(-1) - 1, 0)
    n, m = (np.maximum(counts.sum(-1), 1) for counts in (window, reference))
    return np.asarray(freedom * (1 / n + 1 / m) * np.maximum(dispersion, 1.0))


def _shares(window: Ints, reference: Ints) -> tuple[Floats, Floats]:
    used = window + reference > 0
    raised = np.where(used, window + _PSEUDO, 0.0), np.where(used, reference + _PSEUDO, 0.0)
    p, q = (each / np.maximum(each.sum(-1, keepdims=True), _PSEUDO) for each in raised)
    return p, q


def _log(p: Floats, q: Floats) -> Floats:
    """ln(p / q), 0 where both are 0."""
    return np.log(np.divide(p, q, out=np.ones(np.broadcast_shapes(p.shape, q.shape)), where=q > 0))
