"""The points of the plots, few enough for a page: curves, histograms, and what alerts would save."""

from typing import Final

import msgspec
import numpy as np

from ml.arrays import Floats, Ints
from ml.evaluation.attacks import attacks_of
from ml.evaluation.judgement import JudgedPart
from ml.metrics import Counts, Ranking
from ml.scorers.probability import log_odds_one, sigmoid

POINTS: Final = 250
BINS: Final = 50
MOST_HONEST: Final = 0.05
LEAST_SCORE: Final = 1e-5
ALERT_SHARES: Final = np.geomspace(0.0005, 0.05, 25)


class Drawing(msgspec.Struct, frozen=True):
    """One detector's plots. Lists of equal length belong together.

    recall, precision: a point for some of the scores, falling. false_positive_rate, true_positive_rate: rising, up to
    MOST_HONEST of the honest ones. at_threshold: its recall and precision. bins: BINS + 1 edges of scores, evenly spread in
    their log-odds, with the shares of the frauds and of the honest ones between each two. alerts_a_day, amount_saved: the
    share of the frauds' amount that would be saved at so many alerts; transactions_a_day: of which they are some.
    """

    recall: list[float]
    precision: list[float]
    false_positive_rate: list[float]
    true_positive_rate: list[float]
    bins: list[float]
    frauds: list[float]
    honest: list[float]
    threshold: float
    at_threshold: tuple[float, float]
    transactions_a_day: float
    alerts_a_day: list[float]
    amount_saved: list[float]


def drawn(judged_part: JudgedPart, scores: Floats, threshold: float) -> Drawing:
    """Draw the scores (n,) of a part's transactions, of which there have to be honest and fraudulent ones."""
    curve = Ranking.from_scores(judged_part.is_fraud, scores).curve()
    frauds, honest = curve.frauds[-1], curve.honest[-1]
    by_recall = _spread(curve.frauds / frauds, 1.0)
    by_rate = _spread(curve.honest / honest, MOST_HONEST)
    inside = np.clip(scores, LEAST_SCORE, 1 - LEAST_SCORE)
    least, most = float(inside.min()), float(inside.max())
    edges = sigmoid(np.linspace(log_odds_one(least), log_odds_one(most), BINS + 1))
    edges[0], edges[-1] = least, most
    saved = [_saved(judged_part, scores, share) for share in ALERT_SHARES]
    counts = Counts.from_flags(judged_part.is_fraud, scores > threshold)
    return Drawing(
        (curve.frauds / frauds)[by_recall].tolist(),
        (curve.frauds / (curve.frauds + curve.honest))[by_recall].tolist(),
        [0.0, *(curve.honest / honest)[by_rate].tolist()],
        [0.0, *(curve.frauds / frauds)[by_rate].tolist()],
        edges.tolist(),
        (np.histogram(inside[judged_part.is_fraud], edges)[0] / frauds).tolist(),
        (np.histogram(inside[~judged_part.is_fraud], edges)[0] / honest).tolist(),
        threshold,
        (counts.recall.value or 0.0, counts.precision.value or 0.0),
        len(scores) / judged_part.days,
        (ALERT_SHARES * len(scores) / judged_part.days).tolist(),
        saved,
    )


def _spread(rising: Floats, end: float) -> Ints:
    """Places at which a curve (g,) that rises to 1 passes equal steps, up to an end."""
    return np.unique(np.searchsorted(rising, np.linspace(0, end, POINTS)).clip(max=len(rising) - 1))


def _saved(judged_part: JudgedPart, scores: Floats, share: float) -> float:
    n = max(1, round(share * len(scores)))
    least = np.partition(scores, len(scores) - n)[len(scores) - n]
    attacks = attacks_of(judged_part.frauds, judged_part.test, scores >= least)
    known = ~np.isnan(attacks.amount)
    amount = attacks.amount[known].sum()
    return float(1 - attacks.lost[known].sum() / amount) if amount else 0.0
