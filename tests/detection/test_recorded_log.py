"""The judgement does not change: a recorded log is judged as it was when it was recorded, bit for bit."""

from typing import Final

from tests.detection.recorded_log import Judged, Refused, judged_now, messages, model, recorded, table

REWORDED: Final = {
    "objects and arrays stand in each other more than 64 levels deep": "objects and arrays are nested more than 64 levels deep"
}
"""Reasons of dead letters that have been put into other words since."""


def test_a_recorded_log_is_judged_as_it_was_bit_for_bit() -> None:
    then = recorded()
    now = judged_now(messages(), model(), table())
    for number, (one, other) in enumerate(zip(now.messages, then.messages, strict=True)):
        if isinstance(other, Refused):
            assert isinstance(one, Refused), number
            assert (one.reason, one.folded) == (REWORDED.get(other.reason, other.reason), other.folded), number
        else:
            assert one == other, number
    assert now.states == then.states


def test_the_recorded_log_has_something_of_everything() -> None:
    judged = [one for one in recorded().messages if isinstance(one, Judged)]
    refused = [one for one in recorded().messages if isinstance(one, Refused)]
    for name in ("late", "key_mismatch", "order_undefined", "is_anomaly"):
        assert 20 < sum(getattr(one, name) for one in judged) < len(judged) / 2, name
    assert len({one.threshold for one in judged}) > 3
    reasons = " ".join(one.reason for one in refused)
    for words in ("is a duplicate of", "ahead of the record's Kafka timestamp", "tombstone", "not JSON", "UTF-8"):
        assert words in reasons
