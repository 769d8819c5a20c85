"""Whether the combination earns its name: its average precision beside that of the best single detector, paired by seed."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Final

import msgspec

from ml.detectors import DETECTORS
from ml.detectors.combined import Combined
from ml.evaluation.estimates import Estimate, difference_over_seeds
from ml.evaluation.judgement import Judgement
from ml.evaluation.report import cell

GAIN_COLUMNS: Final = ("data", "best single detector", "its average precision", f"of {Combined.name}", "difference")
_FIELD: Final = "average_precision"


class Gain(msgspec.Struct, frozen=True):
    """On one kind of data: the best single detector by the mean of its average precision, that, and the combination's.

    difference: the mean over the seeds, with Student's t interval of the differences of the same seed.
    """

    best: str
    single: float
    combined: float
    difference: Estimate


def gain(of_seeds: Sequence[Mapping[str, Judgement | str]]) -> Gain | None:
    """What the combination gains, from each seed's judgements by detector.

    None where it, or every single detector, lacks a figure in one of the seeds.
    """
    reached = {name: _of_all_seeds(of_seeds, name) for name in DETECTORS}
    combined = reached.pop(Combined.name)
    singles = {name: values for name, values in reached.items() if values}
    if not combined or not singles:
        return None
    best = max(singles, key=lambda name: fmean(singles[name]))
    differences = [ours - theirs for ours, theirs in zip(combined, singles[best], strict=True)]
    return Gain(best, fmean(singles[best]), fmean(combined), difference_over_seeds(differences))


def _of_all_seeds(of_seeds: Sequence[Mapping[str, Judgement | str]], name: str) -> list[float]:
    """The average precision in each seed; empty where one of them has none."""
    judged = [of_seed.get(name) for of_seed in of_seeds]
    values = [result.figures[_FIELD].value for result in judged if isinstance(result, Judgement)]
    known = [value for value in values if value is not None]
    return known if len(known) == len(of_seeds) else []


def gain_rows(gains: Mapping[str, Gain]) -> list[list[str]]:
    """A row for each kind of data, in the order of GAIN_COLUMNS."""
    return [
        [data, one.best, f"{one.single:.3f}", f"{one.combined:.3f}", cell(_FIELD, one.difference)]
        for data, one in gains.items()
    ]


def verdict(gains: Mapping[str, Gain]) -> str:
    """Whether the combination is at least as good everywhere, and beyond chance somewhere: then it earns its name."""
    if all(one.difference.low is None for one in gains.values()):
        return "Of one seed it can't be said whether the combination earns its name."
    behind = [data for data, one in gains.items() if one.combined < one.single]
    ahead = [data for data, one in gains.items() if one.difference.low is not None and one.difference.low > 0]
    if not behind and ahead:
        return (
            "The combination earns its name: it is at least as good as the best single detector everywhere, and better beyond "
            f"chance on {'; '.join(ahead)}."
        )
    why = [f"the best single detector is better on {'; '.join(behind)}"] if behind else []
    why += [] if ahead else ["nowhere is the combination better beyond chance"]
    return f"The combination has not earned its name: {', and '.join(why)}."
