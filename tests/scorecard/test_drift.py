"""How well drift is noticed is measured on simulated banks: one small bank, and the figures in short."""

import pytest

from ml.drift.policy import DriftPolicy
from scorecard.drift import last_line
from scorecard.drift_trial import SHIFTS, DriftTrial, Noticed, Size, drift_trial, ordinary_run


@pytest.mark.slow
def test_a_shift_in_a_small_bank_is_noticed_within_days() -> None:
    trial = drift_trial(
        103, ordinary_run("standard"), Size(customers=3_000, train_days=21, days=10), DriftPolicy.read()
    )
    assert trial.transactions > 50_000
    assert list(trial.noticed) == list(SHIFTS)
    for name, most_days in (("sudden", 2), ("over 3 days", 4), ("over 7 days", 6)):
        minutes = trial.noticed[name].minutes
        assert minutes is not None, name
        assert minutes <= most_days * 24 * 60


def test_the_last_line_has_false_alarms_a_year_and_the_longest_time_of_each_shift() -> None:
    def trial(seed: int, run: str, alarms: int, minutes: float | None) -> DriftTrial:
        noticed = {name: Noticed(minutes) for name in SHIFTS} if run == "standard" else {}
        return DriftTrial(seed, run, 1_000, 60, alarms, (), noticed)

    found = last_line([trial(1, "standard", 0, 20.0), trial(2, "standard", 1, 30.0), trial(1, "calm", 0, None)])
    assert found["standard"] == {"days": 120, "false_alarms": 1, "a_year": 3.04}
    assert found["calm"] == {"days": 60, "false_alarms": 0, "a_year": 0.0}
    assert found["sudden"] == 30.0
    assert last_line([trial(1, "standard", 0, None)])["sudden"] is None
