"""Drift in a demo is looked for in what is scored, against the training that has just ended."""

from datetime import UTC, datetime

import msgspec

from demo.drift_watch import fresh, in_words, minutes_after
from ml.drift.alarms import Alarm
from ml.drift.findings import Finding
from ml.drift.policy import DriftPolicy
from ml.features.events import milliseconds

BEGINS = datetime(2024, 6, 4, 11, tzinfo=UTC)
FINDING = Finding("sudden", "training", "channel_number", 0, 0, 500, 9_000, 0.067, 0.02, 0.1, None, None, 1e-9, True)


def alarm(time: datetime) -> Alarm:
    return Alarm(FINDING, milliseconds(time))


def test_an_alarm_says_what_drifts_and_how_long_after_the_shift_it_came() -> None:
    found = alarm(BEGINS.replace(minute=20))
    assert minutes_after(found, BEGINS) == 20
    said = in_words(found, BEGINS)
    assert (
        said == "drift is noticed at 11:20, 20 simulated minutes after it began: channel_number is not as in training"
    )


def test_a_false_alarm_before_the_shift_is_named_as_one() -> None:
    assert "30 minutes before it began" in in_words(alarm(BEGINS.replace(hour=10, minute=30)), BEGINS)


def test_training_is_taken_for_last_week_in_windows_of_half_an_hour() -> None:
    given = DriftPolicy.read(None)
    (scale,) = fresh(given).scales
    (short,) = (scale for scale in given.scales if scale.name == "short")
    assert scale.least_psi == {"training": short.least_psi["last_week"]}
    assert scale.minutes == 30
    assert msgspec.structs.replace(scale, least_psi=short.least_psi, minutes=short.minutes) == short
