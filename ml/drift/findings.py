"""One window against what it is compared with: how far, how surely, and whether that is drift."""

from collections.abc import Iterator

import msgspec
import numpy as np

from ml.arrays import Flags, Floats
from ml.drift.comparisons import ALERT_SHARE, ISSUE, SHAPE, Comparisons, compared, comparisons
from ml.drift.counts import BLOCK, Counts
from ml.drift.distances import chance_psi, chi_square, jensen_shannon, kolmogorov_smirnov, p_value, psi
from ml.drift.policy import DriftPolicy, Reference, Scale
from ml.drift.reference import DriftReference


class Finding(msgspec.Struct, frozen=True):
    """One comparison in one window, from `begin` to `end` (ms), of so many transactions with so many others.

    what: a feature, anomaly_score, segments or alerts, one of the last two with " of " and a segment, or an issue of the data.
    psi: beyond what chance gives. ratio: of the shares of alerts. rise: of the share that an issue has. p: of each comparison
    alone. is_drift: whether it is large, and significant together with all that were made in the window.
    """

    scale: str
    against: Reference
    what: str
    begin: int
    end: int
    rows: int
    reference_rows: int
    psi: float | None
    jensen_shannon: float
    kolmogorov_smirnov: float
    ratio: float | None
    rise: float | None
    p: float
    is_drift: bool


def findings(counts: Counts, end: int, scale: Scale, reference: DriftReference, policy: DriftPolicy) -> list[Finding]:
    """All comparisons of the window that ends before block `end`; none where it has too few transactions."""
    window = counts.between(end - scale.blocks, end)
    if window.rows.sum() < scale.least_rows:
        return []
    made: list[tuple[Reference, Comparisons]] = []
    for against in scale.least_psi:
        other = compared(counts, end, scale, against, reference)
        if other.rows.sum() >= scale.least_rows:
            made.append((against, comparisons(window, other, scale, reference, policy)))
    return list(_judged(made, (end - scale.blocks, end), scale, policy))


def _judged(
    made: list[tuple[Reference, Comparisons]], blocks: tuple[int, int], scale: Scale, policy: DriftPolicy
) -> Iterator[Finding]:
    """Each comparison as a finding; significant among all of them, by Y. Benjamini, Y. Hochberg, JRSS B 57, 1995."""
    from scipy import stats  # type: ignore[import-untyped]

    chances = [p_value(*chi_square(of.window, of.reference), of.dispersion) for _, of in made]
    if not chances or not len(together := np.concatenate(chances)):
        return
    significant: Flags = stats.false_discovery_control(together) <= policy.false_discoveries
    place = 0
    for (against, of), p in zip(made, chances, strict=True):
        yield from _each(of, against, p, significant[place : place + len(p)], blocks, (scale, policy))
        place += len(p)


def _each(
    of: Comparisons,
    against: Reference,
    p: Floats,
    significant: Flags,
    blocks: tuple[int, int],
    by: tuple[Scale, DriftPolicy],
) -> Iterator[Finding]:
    scale, policy = by
    beyond = np.maximum(psi(of.window, of.reference) - chance_psi(of.window, of.reference, of.dispersion), 0.0)
    js, ks = jensen_shannon(of.window, of.reference), kolmogorov_smirnov(of.window, of.reference)
    rows, others = of.window.sum(1), of.reference.sum(1)
    share, usual = (of.window[:, 0] + 0.5) / (rows + 1), (of.reference[:, 0] + 0.5) / (others + 1)
    ratio, rise = share / usual, share - usual
    factor = np.array([policy.factor(name) for name in of.names])
    of_alerts = np.log(np.maximum(ratio, 1 / ratio)) >= factor * np.log(scale.least_alert_ratio)
    shares = of_alerts, rise >= policy.least_rise
    large = np.choose(of.kind, (beyond >= scale.least_psi[against] * factor, *shares))
    for row, name in enumerate(of.names):
        kind = of.kind[row]
        yield Finding(
            scale.name,
            against,
            name,
            blocks[0] * BLOCK,
            blocks[1] * BLOCK,
            int(rows[row]),
            int(others[row]),
            float(beyond[row]) if kind == SHAPE else None,
            float(js[row]),
            float(ks[row]),
            float(ratio[row]) if kind == ALERT_SHARE else None,
            float(rise[row]) if kind == ISSUE else None,
            float(p[row]),
            bool(large[row] and significant[row]),
        )
