"""Each feature has words of its own."""

from demo.reasons import in_words
from ml.features import FEATURES
from ml.schema import Reason


def test_every_feature_is_said_in_words() -> None:
    for feature in FEATURES:
        words = in_words([Reason(feature, 1.0, 0.0, 0.5)])
        assert words
        assert not words.startswith(feature)


def test_logarithms_are_undone() -> None:
    assert in_words([Reason("log_amount", 7.0, 0.7, 5.0)]) == "an amount of 1,096 (usually ≤ 147)"
    said = in_words([Reason("log_seconds_since_previous", 1.6, 6.0, 12.0)])
    assert said == "4 s after the last payment (usually ≥ 7 min)"


def test_a_value_inside_its_range_names_both_ends() -> None:
    outside = Reason("amount_ratio", 9.5, 0.0, 4.0)
    said = in_words([outside, Reason("count_1h", 2.0, 0.0, 4.0)])
    assert said == "9.5 times the customer's mean amount (usually ≤ 4), 2 payments in the last hour (usually 0 to 4)"


def test_an_alert_without_an_unusual_feature_says_so() -> None:
    said = in_words([Reason("new_merchant", 1.0, 0.0, 1.0), Reason("weekend", 0.0, 0.0, 1.0)])
    assert said == "unusual only together: a new merchant, on a working day"


def test_an_unknown_feature_is_still_said() -> None:
    assert in_words([Reason("merchant_risk", 2.0, 0.0, 1.0)]) == "merchant_risk 2 (usually ≤ 1)"
