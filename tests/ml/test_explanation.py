"""The reasons of an alert: which features are named, and how they are put."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.explanation import all_in_words, in_words, reasons
from ml.features import FEATURES
from ml.model import Model
from ml.schema import Reason
from ml.scorers.probability import LinearProbability

USUAL = np.tile([-1.0, 0.0, 1.0], (5, 1))


def named(row: list[float], weights: list[float]) -> str:
    (found,) = reasons(
        LinearProbability(np.array(weights, np.float64), 0.0), np.array([row], np.float64), USUAL, "abcde"
    )
    return "".join(reason.feature for reason in found)


def test_the_three_that_drove_the_score_most_are_named_the_strongest_first() -> None:
    assert named([2, 3, 4, 5, 0], [1, 1, 1, 1, 1]) == "dcb"


def test_what_made_the_row_less_strange_is_no_reason() -> None:
    assert named([2, 3, 0, 0, 0], [1, -1, 1, 1, 1]) == "a"


def test_what_is_outside_its_usual_range_comes_before_what_is_inside() -> None:
    assert named([0.9, 2.0, 0.8, 0, 0], [9, 1, 9, 1, 1]) == "bac"


def test_of_features_that_say_the_same_only_the_strongest_is_named() -> None:
    names = ("amount_ratio", "amount_z", "sum_24h", "sum_1h", "speed_kmh")
    row = np.array([[3.0, 5.0, 4.0, 2.5, 2.0]])
    ((first, second, third),) = reasons(LinearProbability(np.ones(5), 0.0), row, USUAL, names)
    assert [first.feature, second.feature, third.feature] == ["amount_z", "sum_24h", "speed_kmh"]


def test_every_row_has_a_reason_and_no_rows_have_none(model: Model) -> None:
    assert named([0, 0, 0, 0, 0], [1, 1, 1, 1, 1]) == "a"
    assert model.reasons(np.empty((0, len(FEATURES)))) == []


def test_a_reason_carries_value_and_usual_range(model: Model) -> None:
    row = model.usual[:, 1].copy()
    row[7] = 50.0
    ((reason, *others),) = model.reasons(row[None])
    assert others == []
    assert reason == Reason(FEATURES[7], 50.0, model.usual[7, 0], model.usual[7, 2])


@pytest.mark.parametrize("feature", FEATURES)
@pytest.mark.parametrize("value", [0.0, 1.0, 14.0])
def test_every_feature_has_words_of_its_own(feature: str, value: float) -> None:
    words = in_words(Reason(feature, value, 2.0, 5.0))
    assert not words.startswith(feature)
    assert ("usually" in words) != feature.startswith(("new_", "no_", "weekend", "channel_number", "roundness"))


def test_reasons_of_an_alert_are_one_line() -> None:
    both = [Reason("amount_z", 12.345, -1.2, 3.4), Reason("new_merchant", 0.0, 0.0, 1.0)]
    assert all_in_words(both) == "12.3 deviations above the customer's mean, usually at most 3.4; at a known merchant"
    assert all_in_words([]) == ""


NUMBERS = st.floats() | st.sampled_from([-1.0, 710.0, 1e9, 1e300, -1e300])


@given(st.sampled_from(FEATURES) | st.text(), NUMBERS, NUMBERS, NUMBERS)
def test_whatever_a_foreign_score_names_as_its_reason_there_are_words_for_it(
    feature: str, value: float, low: float, high: float
) -> None:
    assert in_words(Reason(feature, value, low, high))
    assert in_words(Reason("{", value, low, high)).startswith("{ ")
