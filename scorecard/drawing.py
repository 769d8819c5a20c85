"""The points of the plots, few enough for a page: curves, histograms, and what alerts would save."""

from typing import Final

import msgspec
import numpy as np

from ml.evaluation.attacks import attacks_of
from ml.evaluation.judgement import Bench
from ml.metrics import Ints, Ranking
from ml.model import Floats

POINTS: Final = 250
BINS: Final = 50
ALERT_SHARES: Final = np.geomspace(0.0005, 0.05, 25)


class Drawing(msgspec.Struct, frozen=True):
    """One detector's plots. Lists of equal length belong together.

    recall, precision: a point for some of the scores, falling; false_positive_rate, true_positive_rate: rising.
    bins: BINS + 1 edges of scores, with the shares of the frauds and of the honest ones between each two.
    alerts_a_day, amount_saved: the share of the frauds' amount that would be saved at so many alerts.
    """

    recall: list[float]
    precision: list[float]
    false_positive_rate: list[float]
    true_positive_rate: list[float]
    bins: list[float]
    frauds: list[float]
    honest: list[float]
    threshold: float
    alerts_a_day: list[float]
    amount_saved: list[float]


def drawn(bench: Bench, scores: Floats, threshold: float) -> Drawing:
    """Draw the scores (n,) of a bench's transactions, of which there have to be honest and fraudulent ones."""
    curve = Ranking.of(bench.is_fraud, scores).curve()
    frauds, honest = curve.frauds[-1], curve.honest[-1]
    by_recall = _spread(curve.frauds / frauds)
    by_rate = _spread(curve.honest / honest)
    edges = np.linspace(min(0.0, scores.min()), max(1.0, scores.max()), BINS + 1)
    saved = [_saved(bench, scores, share) for share in ALERT_SHARES]
    return Drawing(
        (curve.frauds / frauds)[by_recall].tolist(),
        (curve.frauds / (curve.frauds + curve.honest))[by_recall].tolist(),
        [0.0, *(curve.honest / honest)[by_rate].tolist()],
        [0.0, *(curve.frauds / frauds)[by_rate].tolist()],
        edges.tolist(),
        (np.histogram(scores[bench.is_fraud], edges)[0] / frauds).tolist(),
        (np.histogram(scores[~bench.is_fraud], edges)[0] / honest).tolist(),
        threshold,
        (ALERT_SHARES * len(scores) / bench.days).tolist(),
        saved,
    )


def _spread(rising: Floats) -> Ints:
    """Places at which a rising curve (g,) passes equal steps, the last one among them."""
    return np.unique(np.searchsorted(rising, np.linspace(0, rising[-1], POINTS)))


def _saved(bench: Bench, scores: Floats, share: float) -> float:
    n = max(1, round(share * len(scores)))
    least = np.partition(scores, len(scores) - n)[len(scores) - n]
    attacks = attacks_of(bench.frauds, bench.test, scores >= least)
    known = ~np.isnan(attacks.amount)
    amount = attacks.amount[known].sum()
    return float(1 - attacks.lost[known].sum() / amount) if amount else 0.0
