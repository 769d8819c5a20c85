"""The split in time: what a detector is fitted to, the gap in which labels arrive, and the days that judge it."""

from dataclasses import dataclass
from typing import Final, Self

from ml.features import DAY
from ml.thresholds.budget import DEFAULT_BUDGET

WARM_UP_SHARE: Final = 0.3
TEST_SHARE: Final = 0.25
LEAST_GAP_SHARE: Final = 0.1


class EvaluationError(Exception):
    """A history can't be evaluated; the text says what it lacks."""


@dataclass(frozen=True)
class Split:
    """Where each part begins, in ms since the epoch; `end` is past the last transaction.

    | part | what it serves |
    | --- | --- |
    | the start, to `fit_start` | nothing but the customers' past: in it every merchant is new, as it is in no later traffic |
    | `fit_start` to `gap_start` | a detector is fitted to it, with the labels that have arrived by `test_start` |
    | `gap_start` to `test_start` | the gap, as long as labels take; the threshold comes from it: a budget needs no labels |
    | `test_start` to `end` | judges |
    """

    fit_start: int
    gap_start: int
    test_start: int
    end: int

    @classmethod
    def from_span(cls, first: int, last: int, label_delay_days: float) -> Self:
        """The split of transactions from `first` to `last` (ms): the last quarter judges.

        If that has two days or more, it begins at a midnight (UTC). The gap is never shorter than a tenth of the time, for
        the threshold's sake. The first 30 % of what is then left only fills the customers' past. Raises `EvaluationError`
        where nothing would be left to fit.
        """
        span = last + 1 - first
        test_start = last + 1 - round(TEST_SHARE * span)
        if last + 1 - test_start >= 2 * DAY:
            test_start = round(test_start / DAY) * DAY
        gap_start = test_start - max(round(label_delay_days * DAY), round(LEAST_GAP_SHARE * span))
        if gap_start <= first:
            raise EvaluationError(
                f"a label delay of {label_delay_days:g} days and a test of the last quarter need a history of more than "
                f"{label_delay_days / (1 - TEST_SHARE):.1f} days, but it has {span / DAY:.1f}; "
                "--label-delay-days can be set lower"
            )
        return cls(first + round(WARM_UP_SHARE * (gap_start - first)), gap_start, test_start, last + 1)


def refuse_no_share(budget: float) -> None:
    """Raise `EvaluationError` where a budget is no share of the traffic."""
    if not 0 < budget < 1:
        raise EvaluationError(f"the alert budget is a share of the traffic, such as {DEFAULT_BUDGET:g}, not {budget:g}")
