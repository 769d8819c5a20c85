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
    assert in_words([Reason("count_1h", 2.0, 0.0, 4.0)]) == "2 payments in the last hour (usually 0 to 4)"


def test_an_unknown_feature_is_still_said() -> None:
    assert in_words([Reason("merchant_risk", 2.0, 0.0, 1.0)]) == "merchant_risk 2 (usually ≤ 1)"
