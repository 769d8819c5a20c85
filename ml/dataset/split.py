"""How a history is split in time: what a detector is fitted to, what its threshold comes from, and what judges it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple, Self

import numpy as np

from ml.arrays import Ints
from ml.dataset.history import HistoryError
from ml.features import DAY

WARM_UP_SHARE: Final = 0.3
TEST_SHARE: Final = 0.25
LEAST_GAP_SHARE: Final = 0.1
MOST_FIT_ROWS: Final = 500_000

TRAINING_PARTS: Final = {"fit": (0.3, 0.6, 300_000), "threshold": (0.6, 0.9, 500_000), "check": (0.9, 1.0, 500_000)}
"""Of a training: where each part begins and ends, as shares of the rows, and the most rows of it that are kept."""


class Cut(NamedTuple):
    """Rows of a history from `begin` up to `end`. Of more than `most`, so many are kept, drawn at random; None keeps all."""

    begin: int
    end: int
    most: int | None = None


def chosen_rows(cuts: Mapping[str, Cut], seed: int) -> dict[str, Ints]:
    """Which rows of a history each part keeps, in ascending order; the same cuts and seed give the same rows."""
    random = np.random.default_rng(seed)
    chosen: dict[str, Ints] = {}
    for part, (begin, end, most) in cuts.items():
        window = np.arange(begin, end)
        few = most is None or len(window) <= most
        chosen[part] = window if few else np.sort(random.choice(window, most, replace=False))
    return chosen


def training_cuts(rows: int) -> dict[str, Cut]:
    """The parts of a training on a history of so many rows; see `ml.training.train`."""
    return {
        part: Cut(round(begin * rows), round(end * rows), most) for part, (begin, end, most) in TRAINING_PARTS.items()
    }


@dataclass(frozen=True)
class Split:
    """The split of an evaluation: where each part begins, in ms since the epoch; `end` is past the last transaction.

    | part | what it serves |
    | --- | --- |
    | the start, to `fit_start` | nothing but the customers' past: in it every merchant is new, unlike in later traffic |
    | `fit_start` to `gap_start` | a detector is fitted to it, with the labels that have arrived by `test_start` |
    | `gap_start` to `test_start` | the gap, as long as labels take; the threshold comes from it: a budget needs no labels |
    | `test_start` to `end` | judges |

    What learns from labels learns from the gap too, where enough of its labels have come: `ml.detectors.recent`.
    """

    fit_start: int
    gap_start: int
    test_start: int
    end: int

    @classmethod
    def from_span(cls, first: int, last: int, label_delay_days: float) -> Self:
        """The split of transactions from `first` to `last` (ms): the last quarter judges.

        If that has two days or more, it begins at a midnight (UTC). The gap is never shorter than a tenth of the time, for
        the threshold's sake. The first 30 % of what is then left only fills the customers' past. Raises `HistoryError`
        where nothing would be left to fit.
        """
        span = last + 1 - first
        test_start = last + 1 - round(TEST_SHARE * span)
        if last + 1 - test_start >= 2 * DAY:
            test_start = round(test_start / DAY) * DAY
        gap_start = test_start - max(round(label_delay_days * DAY), round(LEAST_GAP_SHARE * span))
        if gap_start <= first:
            raise HistoryError(
                f"a label delay of {label_delay_days:g} days and a test of the last quarter need a history of more than "
                f"{label_delay_days / (1 - TEST_SHARE):.1f} days, but it has {span / DAY:.1f}; "
                "--label-delay-days can be set lower"
            )
        return cls(first + round(WARM_UP_SHARE * (gap_start - first)), gap_start, test_start, last + 1)

    def cuts(self, times: Ints) -> dict[str, Cut]:
        """The parts fit, gap and test, as rows of a history whose transactions are at these times (n,) ms, ascending.

        Raises `HistoryError` where one of them has no transaction.
        """
        fit, gap, test, end = np.searchsorted(
            times, (self.fit_start, self.gap_start, self.test_start, self.end)
        ).tolist()
        cuts = {"fit": Cut(fit, gap, MOST_FIT_ROWS), "gap": Cut(gap, test), "test": Cut(test, end)}
        for part, (begin, end, _) in cuts.items():
            if begin == end:
                raise HistoryError(f"the {part} part of the history should hold transactions, but it has none")
        return cuts
