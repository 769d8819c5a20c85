"""From counts of recent scores to thresholds: a pure function.

| what | how |
| --- | --- |
| the level | the budget's share of the scores of the last 24 hours lies above it |
| each segment | keeps its share of the alerts, as the model's reference has it, as far as it has alerts enough to say so |
| the day | what was spent of it too much or too little is balanced in the rest of it |
| waves | a block of time counts for no more alerts than chance explains; the block under way can only lower thresholds |
| bounds | those of the grid |
"""

from typing import Final, NamedTuple, Self

import numpy as np

from ml.arrays import Floats, Ints
from ml.thresholds.counts import ALERTS, BLOCKS_A_DAY
from ml.thresholds.grid import BINS, STEPS, above
from ml.thresholds.reference import Reference

PRIOR_ALERTS: Final = 20.0
"""As many alerts of the reference count with the recent ones, so that few transactions move little."""

SEGMENT_ALERTS: Final = 300.0
"""With so many alerts to be expected, a segment's threshold comes half from its own scores, and half from all scores.

Its share of the alerts moves with the frauds that meet it: with 30, a tenth more of the honest ones was alerted at equal
recall.
"""

HOURS_TO_PAY: Final = 3.0
"""What was spent too much or too little is balanced over no less traffic than is usual in this time."""

WAVE: Final = 2.0
"""What the budget's share is multiplied by for as long as a wave of fraud lasts."""

PACE: Final = (0.5, 1.5)
"""The least and the most of the budget's share that an hour may get."""

_DEVIATIONS: Final = 4.0
_DEVIATIONS_OF_ALARMS: Final = (4.0, 10.0)
_DEVIATIONS_OF_SPENDING: Final = 5.0
_ROUNDS: Final = 4
_HALVINGS: Final = 20
_LEAST: Final = 1e-12


class Recent(NamedTuple):
    """The complete blocks of the last day, T of them, and the reference's segments, S, and as the last all others.

    rows: (T, S + 1); above: (T, S + 1, 2 · STEPS + 1) of them over each threshold; alerts: (T,) that were raised.
    """

    rows: Ints
    above: Floats
    alerts: Floats

    @classmethod
    def from_counts(cls, counts: np.ndarray, reference: Reference, block: int) -> Self:
        """From counts (m,) COUNT, before a block."""
        first = block - BLOCKS_A_DAY
        recent = counts[slice(*np.searchsorted(counts["block"], (first, block)))]
        segment = reference.places_of(recent["segment"])
        is_score = recent["bin"] != ALERTS
        bins = np.zeros((BLOCKS_A_DAY, len(reference.segments) + 1, BINS), np.int64)
        at = (recent["block"] - first)[is_score], segment[is_score], recent["bin"][is_score]
        np.add.at(bins, at, recent["count"][is_score])
        alerts = np.zeros(BLOCKS_A_DAY, np.int64)
        np.add.at(alerts, (recent["block"] - first)[~is_score], recent["count"][~is_score])
        rows = np.asarray(bins.sum(axis=-1), np.int64)
        return cls(rows, above(bins).astype(np.float64), alerts.astype(np.float64))


class BlockThresholds(NamedTuple):
    """Thresholds for one block of time, as places in the grid, for the reference's segments and for all others.

    level: (S + 1,) those that the budget's share of recent scores lies above. by_alarm: (3, S + 1) those to judge by: at
    alarm 0 they keep to the day's budget; at 1 more scores are high than chance explains, and nothing is saved up; at 2 it
    is a wave of fraud, in which an alert is more often right, and WAVE times as many may be raised.
    """

    level: Ints
    by_alarm: Ints
    budget: float

    def alarm(self, rows: Ints, over: Ints) -> Ints:
        """(n,) the alarm, where of so many rows (n,) of the block under way so many are over `level` (n,)."""
        expected = np.asarray(self.budget * rows, np.float64)
        unusual, wave = (over > _most_plausible(expected, deviations) for deviations in _DEVIATIONS_OF_ALARMS)
        return np.asarray(unusual.astype(np.int64) + wave)


def thresholds_for(block: int, counts: np.ndarray, reference: Reference) -> BlockThresholds:
    """The thresholds for a block, from the counts before it.

    counts: (m,) COUNT of one version's scores, merged, of the last day or more; those of the block itself don't count.
    """
    recent = Recent.from_counts(counts, reference, block)
    rows = recent.rows.sum(axis=0)
    over = _plausible_by_segment(recent).sum(axis=0)
    apart = _apart(over, rows, reference)
    budget = reference.budget
    shares = budget, _pace(recent, block, budget) * budget, WAVE * budget
    level, paced, wave = (_whole(apart + _level(over, rows, apart, share, reference)) for share in shares)
    return BlockThresholds(level, np.stack([paced, np.minimum(paced, level), np.minimum(paced, wave)]), budget)


def _whole(place: Floats) -> Ints:
    return np.clip(np.rint(place), 0, 2 * STEPS).astype(np.int64)


def _plausible_by_segment(recent: Recent) -> Floats:
    """(T, S + 1, 2 · STEPS + 1) scores over each threshold, without those that are too many for chance in their block."""
    whole = recent.above.sum(axis=1)
    kept = _plausible(whole, recent.rows.sum(axis=1), _DEVIATIONS) / np.maximum(whole, 1)
    return _plausible(recent.above * kept[:, None], recent.rows, _DEVIATIONS)


def _plausible(counts: Floats, rows: Ints, deviations: float) -> Floats:
    """Counts (T, …, J) of T blocks with so many rows (T, …), each cut to the most that chance explains.

    The share that all blocks have together once they are cut says what is to be expected of one (winsorising: W. J. Dixon,
    "Simplified estimation from censored normal samples", 1960, with the deviation of a Poisson count).
    """
    each = rows[..., None].astype(np.float64)
    total = np.maximum(each.sum(axis=0), 1)
    cut = counts
    for _ in range(_ROUNDS):
        expected = each * (cut.sum(axis=0) / total)
        cut = np.minimum(counts, _most_plausible(expected, deviations))
    return cut


def _most_plausible(expected: Floats, deviations: float) -> Floats:
    """The most that a count with this expectation (…,) comes to by chance; alerts come in clusters, so it is generous."""
    return expected + deviations * np.sqrt(expected) + 1


def _apart(over: Floats, rows: Ints, reference: Reference) -> Floats:
    """(S + 1,) how far each segment's threshold is from the whole's, in places of the grid."""
    own = np.append(reference.own_shares, 0.0)
    expected = own * rows
    scale = reference.budget * rows.sum() / max(expected.sum(), _LEAST)
    whole = _place(over.sum(axis=0)[None], np.array([reference.budget * rows.sum()]))
    return (_place(over, scale * expected) - whole) * expected / (expected + SEGMENT_ALERTS)


def _level(over: Floats, rows: Ints, apart: Floats, share: float, reference: Reference) -> float:
    """The place at which a share of all recent scores is above the threshold of its segment."""
    prior = PRIOR_ALERTS / reference.budget
    everywhere = np.concatenate([over, prior * np.array([reference.shares])])
    low, high = -2.0 * STEPS, 4.0 * STEPS
    for _ in range(_HALVINGS):
        level = (low + high) / 2
        if _at(everywhere, level + np.append(apart, 0.0)).sum() > share * (rows.sum() + prior):
            low = level
        else:
            high = level
    return high


def _place(over: Floats, wanted: Floats) -> Floats:
    """(S,) where falling counts (S, J) reach the wanted ones (S,): between two places of the grid by their logarithms."""
    after = np.clip((over > wanted[:, None]).sum(axis=1), 1, over.shape[1] - 1)
    row = np.arange(len(over))
    logs = np.log(np.maximum(np.stack([over[row, after - 1], over[row, after], wanted]), _LEAST))
    fall = logs[0] - logs[1]
    return np.asarray(after - 1 + np.clip((logs[0] - logs[2]) / np.maximum(fall, _LEAST), 0, 1), np.float64)


def _at(over: Floats, place: Floats) -> Floats:
    """(S,) counts (S, J) at places (S,) of the grid, cut to it."""
    inside = np.clip(place, 0, over.shape[1] - 1)
    before = np.minimum(inside.astype(np.int64), over.shape[1] - 2)
    row, part = np.arange(len(over)), inside - before
    return np.asarray(over[row, before] * (1 - part) + over[row, before + 1] * part, np.float64)


def _pace(recent: Recent, block: int, budget: float) -> float:
    """What the budget is multiplied by, so that the day (UTC) ends with as many alerts as it may have."""
    rows = recent.rows.sum(axis=1)
    alerts = _plausible(recent.alerts[:, None], rows, _DEVIATIONS_OF_SPENDING)[:, 0]
    passed = block % BLOCKS_A_DAY
    yesterday, today = slice(0, BLOCKS_A_DAY - passed), slice(BLOCKS_A_DAY - passed, BLOCKS_A_DAY)
    owed = budget * rows[today].sum() - alerts[today].sum()
    usual = rows.sum() / max(np.count_nonzero(rows), 1)
    ahead = max(rows[yesterday].sum(), usual * HOURS_TO_PAY * BLOCKS_A_DAY / 24, 1.0)
    return float(np.clip(1 + owed / (budget * ahead), *PACE))
