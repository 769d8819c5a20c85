"""The checks of a model against the champion: pure functions on models and arrays, of which each gives one line."""

import time
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np

from ml.arrays import Floats
from ml.evaluation.estimates import CONFIDENCE
from ml.evaluation.stretch import Stretch
from ml.features import FEATURES
from ml.features.available import needs_profiles
from ml.features.profile_schema import PROFILE_FEATURES
from ml.model import Model
from ml.registry.promotion_history import Check
from ml.thresholds.budget import threshold_for_budget

REFERENCE_ROWS: Final = 4_096
REPLICATES: Final = 1_000
LEAST_DAYS: Final = 3
LEAST_FRAUDS: Final = 20

_ROUNDS: Final = 9
_SECONDS: Final = 4.0
_ALONE: Final = 64
_MOST_ALIKE: Final = 0.9
_LEAST_DIFFERENT: Final = 10


class Limits(NamedTuple):
    """slower: how many times the champion's time a model may take; alerts: how many times its budget it may alert."""

    slower: float = 1.5
    alerts: float = 1.5


def reference_rows(model: Model, rows: int = REFERENCE_ROWS, seed: int = 0) -> Floats:
    """Rows (rows, len(model.features)) as training saw them, one feature by itself: half of each column between the low end
    and the middle of its usual range, half between the middle and the high end."""
    random = np.random.default_rng(seed)
    low, middle, high = model.usual.T
    drawn: Floats = np.where(
        random.random((rows, len(low))) < 0.5,
        random.uniform(low, middle, (rows, len(low))),
        random.uniform(middle, high, (rows, len(low))),
    )
    return drawn


def same_features(model: Model, champion: Model | None) -> Check:
    """Whether a model judges by what the champion's job computes."""
    if champion is None:
        return Check("features", True, f"{len(model.features)} features; there is no champion to compare with")
    computed = {*FEATURES, *champion.extras, *(PROFILE_FEATURES if needs_profiles(champion.features) else ())}
    new = sorted(set(model.features) - computed)
    if new:
        return Check("features", False, f"it judges by {', '.join(new)}, which the champion's job may not compute")
    return Check("features", True, f"{len(model.features)} features, the champion has {len(champion.features)}")


def sane_scores(scores: Floats) -> Check:
    """Whether scores (n,) of reference rows are finite, in [0, 1], and tell rows apart."""
    bad = int((~np.isfinite(scores)).sum())
    if bad:
        return Check("scores", False, f"{bad:,} of {len(scores):,} scores of reference rows are not finite")
    low, high = float(scores.min()), float(scores.max())
    if low < 0 or high > 1:
        return Check("scores", False, f"scores of reference rows reach from {low:g} to {high:g}, outside [0, 1]")
    different, counts = np.unique(scores, return_counts=True)
    alike = counts.max() / len(scores)
    figures = (
        f"{len(different):,} different scores of {len(scores):,} rows, {alike:.1%} the same, {low:.3f} to {high:.3f}"
    )
    if len(different) < _LEAST_DIFFERENT or alike > _MOST_ALIKE:
        return Check("scores", False, f"degenerate: {figures}")
    return Check("scores", True, figures)


def within_budget(share: float | None, budget: float, most: float, of: str) -> Check:
    """Whether a model alerts no more than `most` times the budget. share: of the traffic it alerts, None where not known."""
    if share is None:
        return Check("alerts", None, "no traffic to count alerts on: name a history")
    figures = f"{share:.2%} of {of}, with a budget of {budget:.2%} and at most {most:g} times that"
    return Check("alerts", 0 < share <= most * budget, figures)


def fast_enough(
    model: Model, champion: Model | None, most: float, clock: Callable[[], float] = time.perf_counter
) -> Check:
    """Whether a model takes at most `most` times as long as the champion, for many rows and for one at a time."""
    if champion is None:
        seconds = _Times([model], clock).best(lambda _: True)[0]
        return Check("speed", True, f"{seconds * 1e6:.2f} µs a row; there is no champion to compare with")

    def enough(best: Sequence[float]) -> bool:
        return best[0] <= most * best[1]

    ours, theirs = _Times([model, champion], clock).best(enough)
    one, their_one = _Times([model, champion], clock, one=True).best(enough)
    ratio = max(ours / theirs, one / their_one)
    figures = (
        f"{ours * 1e6:.2f} µs a row in many, {one * 1e6:.0f} µs alone; the champion {theirs * 1e6:.2f} and "
        f"{their_one * 1e6:.0f}: {ratio:.2f} times, at most {most:g}"
    )
    return Check("speed", ratio <= most, figures)


class _Times:
    """Times models in rounds, in turns, so that what else runs on this machine hits all of them."""

    def __init__(self, models: Sequence[Model], clock: Callable[[], float], *, one: bool = False) -> None:
        self._work = [(model, reference_rows(model)[: _ALONE if one else None]) for model in models]
        self._clock, self._one = clock, one

    def best(self, enough: Callable[[Sequence[float]], bool]) -> list[float]:
        """Each model's best time a row, in seconds. Of more rounds it is nearer to the truth on a busy machine: so they go on
        for a few seconds until it is good enough."""
        best, begin, rounds = [float("inf")] * len(self._work), self._clock(), 0
        while rounds < _ROUNDS or (not enough(best) and self._clock() - begin < _SECONDS):
            best = [min(known, self._once(*work)) for known, work in zip(best, self._work, strict=True)]
            rounds += 1
        return best

    def _once(self, model: Model, rows: Floats) -> float:
        begin = self._clock()
        if self._one:
            for row in rows:
                model.anomaly_score_one(row)
        else:
            model.anomaly_score(rows)
        return (self._clock() - begin) / len(rows)


class Difference(NamedTuple):
    """Recall at an equal budget: the champion's, the model's, and the interval of the difference over days."""

    champion: float
    model: float
    low: float
    high: float


def difference(stretch: Stretch, ours: Floats, theirs: Floats, budget: float, seed: int = 0) -> Difference:
    """How much more fraud a model finds than the champion when each alerts the same share of the stretch.

    ours, theirs: scores (n,). The interval is a bootstrap that draws whole days, the same ones for both (paired; B. Efron and
    R. Tibshirani, "An Introduction to the Bootstrap", 1993, ch. 15).
    """
    caught = [
        stretch.by_day(stretch.is_fraud & (scores > threshold_for_budget(scores, budget))) for scores in (theirs, ours)
    ]
    frauds, days = stretch.by_day(stretch.is_fraud), len(stretch.days)
    draws = np.random.default_rng(seed).multinomial(days, np.full(days, 1 / days), REPLICATES).astype(np.float64)
    drawn = draws @ frauds
    differences = (draws @ (caught[1] - caught[0]))[drawn > 0] / drawn[drawn > 0]
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(differences, [tail, 100 - tail])
    total = frauds.sum()
    return Difference(float(caught[0].sum() / total), float(caught[1].sum() / total), float(low), float(high))


def not_worse(found: Difference, stretch: Stretch, budget: float) -> Check:
    """Whether a model is not worse than the champion beyond chance."""
    figures = (
        f"recall {found.model:.1%}, the champion's {found.champion:.1%}, each alerting {budget:.2%}; difference "
        f"{found.low:+.1%} to {found.high:+.1%} (95 %) over {len(stretch.days)} days, {int(stretch.is_fraud.sum()):,} frauds"
    )
    return Check("quality", found.high >= 0, figures)


def too_few(stretch: Stretch) -> str:
    """Why days and frauds do not suffice to compare models on; "" where they do."""
    frauds = int(stretch.is_fraud.sum())
    if len(stretch.days) >= LEAST_DAYS and frauds >= LEAST_FRAUDS:
        return ""
    return (
        f"{len(stretch.days)} days with {frauds} frauds are too few to compare on: at least {LEAST_DAYS} days with "
        f"{LEAST_FRAUDS}"
    )
