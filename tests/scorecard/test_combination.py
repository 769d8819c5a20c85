"""Whether the combination earns its name, from judgements of several seeds."""

from collections.abc import Sequence

import pytest

from ml.evaluation.estimates import Estimate
from ml.evaluation.judgement import Judgement
from scorecard.combination import Gain, gain, gain_rows, verdict

Reached = dict[str, Sequence[float | None]]


def judged(average_precision: float | None) -> Judgement:
    figures = {"average_precision": Estimate(average_precision)}
    return Judgement(1, 1, 1, 0.5, 0.005, None, figures, {}, {}, 0.0, 0.0)


def seeds(reached: Reached) -> list[dict[str, Judgement | str]]:
    """By detector its average precision in each seed, as judgements by seed."""
    number = len(next(iter(reached.values())))
    return [{name: judged(values[k]) for name, values in reached.items()} for k in range(number)]


def found(reached: Reached) -> Gain:
    one = gain(seeds(reached))
    assert one is not None
    return one


AHEAD = found({"xgboost": [0.50, 0.60, 0.70], "random_forest": [0.60, 0.50, 0.60], "combined": [0.52, 0.62, 0.73]})
LEVEL = found({"xgboost": [0.50, 0.60], "combined": [0.40, 0.71]})
BEHIND = found({"random_forest": [0.69, 0.70], "combined": [0.68, 0.70]})


def test_the_best_single_detector_is_that_of_the_highest_mean_and_differences_are_of_the_same_seed() -> None:
    assert (AHEAD.best, AHEAD.single) == ("xgboost", pytest.approx(0.6))
    assert AHEAD.combined == pytest.approx(0.6233, abs=1e-4)
    # the seeds differ by 0.1, the differences by 0.01: the interval is that of the differences
    assert AHEAD.difference.value == pytest.approx(0.0233, abs=1e-4)
    assert AHEAD.difference.low == pytest.approx(0.0090, abs=1e-4)
    assert AHEAD.difference.high == pytest.approx(0.0377, abs=1e-4)


def test_a_difference_can_be_below_0() -> None:
    assert BEHIND.difference.value == pytest.approx(-0.005)
    assert BEHIND.difference.low is not None
    assert BEHIND.difference.low < -0.05
    assert gain_rows({"handbook": BEHIND}) == [
        ["handbook", "random_forest", "0.695", "0.690", "-0.005 [-0.069, 0.059]"]
    ]


def test_what_is_no_detector_is_not_the_best_single_one() -> None:
    assert found({"xgboost": [0.5], "chance": [0.9], "combined": [0.6]}).best == "xgboost"


@pytest.mark.parametrize("lacking", [{"combined": [0.5, None], "xgboost": [0.5, 0.5]}, {"combined": [0.5, 0.5]}])
def test_without_a_figure_of_each_seed_nothing_is_compared(lacking: Reached) -> None:
    assert gain(seeds(lacking)) is None


def test_it_earns_its_name_only_where_it_is_nowhere_behind_and_somewhere_beyond_chance() -> None:
    assert verdict({"a": AHEAD, "b": LEVEL}).startswith("The combination earns its name")
    assert "better beyond chance on a." in verdict({"a": AHEAD, "b": LEVEL})
    not_earned = "The combination has not earned its name: "
    assert verdict({"b": LEVEL}) == f"{not_earned}nowhere is the combination better beyond chance."
    assert verdict({"a": AHEAD, "c": BEHIND}) == f"{not_earned}the best single detector is better on c."
    assert verdict({"c": BEHIND}).count("and") == 1


def test_one_seed_says_nothing() -> None:
    one = found({"xgboost": [0.5], "combined": [0.6]})
    assert one.difference.low is None
    assert verdict({"a": one}).startswith("Of one seed it can't be said")
