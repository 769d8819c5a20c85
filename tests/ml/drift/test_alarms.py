"""An alarm takes size, significance and some windows in a row, and ends where it is not found for as many."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from ml.drift.alarms import Alarms, episodes, look, windows
from ml.drift.bins import Bins
from ml.drift.comparisons import compared
from ml.drift.counts import BLOCK, ISSUES, Counts, Rows
from ml.drift.findings import Finding, findings
from ml.drift.policy import DriftPolicy, DriftPolicyError, Scale
from ml.drift.reference import BLOCKS_A_DAY, DriftReference, hour_of_week
from ml.features import HOUR

LEAST = 0.1
SCALE = Scale("quick", 10, 10, 3, 100, {"training": LEAST, "last_week": LEAST}, 5.0, 3.0)
POLICY = DriftPolicy((SCALE,))
WEEK = 7 * BLOCKS_A_DAY
A_BLOCK = 400


def traffic(seed: int, blocks: range, shifted_from: int | None = None, a_block: int = A_BLOCK) -> Rows:
    """Times, features, scores, segments, alerts: one feature is normal, and higher by 1.5 from a block on; one is a coin."""
    rng = np.random.default_rng(seed)
    block = np.repeat(np.array(blocks), a_block)
    moved = 0.0 if shifted_from is None else 1.5 * (block >= shifted_from)
    features = np.column_stack([rng.normal(size=len(block)) + moved, rng.integers(0, 2, len(block))])
    scores = rng.random(len(block))
    segments = np.where(rng.random(len(block)) < 0.3, "online × food", "chip × fuel").astype(object)
    return Rows(block * BLOCK + 1, features, scores, segments, scores > 0.99)


def reference() -> DriftReference:
    return DriftReference.from_rows(("normal", "coin"), traffic(1, range(8 * BLOCKS_A_DAY)))


REFERENCE = reference()


def counts(*args: object, **named: object) -> Counts:
    return Counts.counted(REFERENCE.bins, traffic(*args, **named))  # type: ignore[arg-type]


def test_a_shift_is_an_alarm_after_three_windows_and_names_what_shifted() -> None:
    found = look(counts(2, range(2 * WEEK), shifted_from=WEEK + 200), REFERENCE, POLICY, WEEK, WEEK + 220)
    assert {alarm.finding.what for alarm in found.alarms} == {"normal"}
    assert {alarm.finding.against for alarm in found.alarms} == {"training", "last_week"}
    assert {alarm.since for alarm in found.alarms} == {(WEEK + 203) * BLOCK}
    assert len(found.lasting) == 2


def test_where_nothing_changes_there_is_no_alarm() -> None:
    assert look(counts(3, range(2 * WEEK)), REFERENCE, POLICY, WEEK, 2 * WEEK).alarms == ()


def test_a_week_after_a_shift_last_week_is_the_same_and_training_is_not() -> None:
    found = look(counts(2, range(2 * WEEK), shifted_from=200), REFERENCE, POLICY, WEEK, 2 * WEEK)
    assert [alarm.finding.against for alarm in found.lasting] == ["training"]


def test_a_shift_that_is_significant_and_small_is_no_drift() -> None:
    rows = traffic(4, range(WEEK, WEEK + 1), a_block=60_000)
    rows.features[:, 0] += 0.1
    window = Counts.counted(REFERENCE.bins, rows)
    found = [each for each in findings(window, WEEK + 1, SCALE, REFERENCE, POLICY) if each.what == "normal"]
    assert [each.is_drift for each in found] == [False]
    assert found[0].p < 1e-6


def test_a_shift_that_is_large_by_chance_is_no_drift() -> None:
    """Of thirty transactions, which vary so much: found at most as often as false discoveries may be, or little more."""
    small = msgspec.structs.replace(SCALE, least_rows=10)
    sizes, drifts = [], []
    for seed in range(200):
        window = counts(seed, range(WEEK, WEEK + 1), a_block=30)
        for each in findings(window, WEEK + 1, small, REFERENCE, POLICY):
            sizes.append(each.psi or 0.0)
            drifts.append(each.is_drift)
    assert max(sizes) > 2 * LEAST
    assert sum(drifts) <= 0.02 * 200


def test_more_alerts_are_an_alarm_by_their_ratio() -> None:
    rows = traffic(5, range(WEEK, WEEK + 4), a_block=1_500)
    window = Counts.counted(REFERENCE.bins, rows._replace(is_alert=rows.scores > 0.95))
    found = look(window, REFERENCE, POLICY, WEEK, WEEK + 4)
    assert [alarm.finding.what for alarm in found.alarms] == ["alerts", "alerts of chip × fuel"]
    assert found.alarms[0].finding.ratio == pytest.approx(5, rel=0.3)


def test_what_is_left_out_is_compared_with_nothing_and_a_factor_raises_what_is_large() -> None:
    window = counts(2, range(WEEK, WEEK + 1), shifted_from=0)
    left_out = msgspec.structs.replace(POLICY, left_out=("normal",))
    assert "normal" not in {each.what for each in findings(window, WEEK + 1, SCALE, REFERENCE, left_out)}
    raised = msgspec.structs.replace(POLICY, factors={"normal": 1_000.0})
    assert not any(each.is_drift for each in findings(window, WEEK + 1, SCALE, REFERENCE, raised))


def finding(number: int, is_drift: bool) -> Finding:
    return Finding("quick", "training", "normal", number, number + 1, 1, 1, 0.2, 0.0, 0.0, None, None, 0.0, is_drift)


def test_an_alarm_begins_after_three_in_a_row_and_ends_after_three_without() -> None:
    alarms = Alarms(SCALE)
    for number, is_drift in enumerate([True, True, False, True, True, True, False, True, False, False, False, False]):
        alarms.take([finding(number, is_drift)])
    assert [(alarm.since, alarm.until) for alarm in alarms.found] == [(6, 11)]


def test_a_window_without_transactions_does_not_break_a_row() -> None:
    alarms = Alarms(SCALE)
    for number in range(5):
        alarms.take([finding(number, True)] if number % 2 == 0 else [])
    assert [alarm.since for alarm in alarms.found] == [5]


def test_alarms_that_come_close_together_are_one_episode() -> None:
    from ml.drift.alarms import Alarm

    found = [Alarm(finding(0, True), hours * HOUR) for hours in (0, 20, 40, 90)]
    assert [alarm.since // HOUR for alarm in episodes(found)] == [0, 90]


def test_windows_end_at_multiples_of_their_step() -> None:
    assert list(windows(msgspec.structs.replace(SCALE, every_minutes=60), 5, 20)) == [6, 12, 18]


def test_an_hour_of_the_week_that_training_lacks_is_that_of_other_days() -> None:
    one_day = DriftReference.from_rows(("normal", "coin"), traffic(1, range(BLOCKS_A_DAY)))
    hour = np.array([4 * BLOCKS_A_DAY + 60])
    assert hour_of_week(hour).tolist() == [4 * 24 + 10]
    assert one_day.counts(hour).rows.tolist() == [6 * A_BLOCK]


def test_a_reference_is_the_same_after_it_was_stored() -> None:
    assert msgspec.json.decode(msgspec.json.encode(REFERENCE), type=DriftReference) == REFERENCE


def test_the_built_in_policy_can_be_read() -> None:
    assert [scale.name for scale in DriftPolicy.read().scales] == ["sudden", "short", "slow"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("scales: []", "length >= 1"),
        ("scale: 1", "unknown field `scale`"),
        ("scales: [{name: a, minutes: 15}]", "multiple"),
        ("{", "expected"),
    ],
)
def test_a_policy_that_is_none_is_refused_with_its_reason(tmp_path: Path, text: str, why: str) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(text)
    with pytest.raises(DriftPolicyError, match=why):
        DriftPolicy.read(file)
    with pytest.raises(DriftPolicyError, match="No such file"):
        DriftPolicy.read(tmp_path / "none.yaml")


def test_bins_are_those_of_the_reference() -> None:
    assert REFERENCE.bins == msgspec.convert(msgspec.to_builtins(REFERENCE.bins), Bins)
    assert REFERENCE.bins.names == ("normal", "coin", "anomaly_score")
    assert REFERENCE.bins.edges[1] == (0.0,)
    assert REFERENCE.bins.segments == ("chip × fuel", "online × food")


def test_a_short_window_is_compared_with_half_an_hour_more_of_last_week_on_both_sides() -> None:
    whole, end = counts(7, range(2 * WEEK), a_block=1), WEEK + 100
    longer = msgspec.structs.replace(SCALE, minutes=60)
    assert compared(whole, end, SCALE, "last_week", REFERENCE).blocks.tolist() == list(range(96, 103))
    assert compared(whole, end, longer, "last_week", REFERENCE).blocks.tolist() == list(range(94, 100))


def test_what_data_lacks_is_an_alarm_against_last_week() -> None:
    """A field that was always there, and now is not in a tenth of the transactions."""
    rows = traffic(6, range(WEEK + 4))
    lacks = np.zeros((len(rows.time), len(ISSUES)), np.bool_)
    lacks[(rows.time >= WEEK * BLOCK) & (np.arange(len(rows.time)) % 10 == 0), ISSUES.index("no device_id")] = True
    found = look(Counts.counted(REFERENCE.bins, rows, lacks), REFERENCE, POLICY, WEEK, WEEK + 4)
    assert [(alarm.finding.what, alarm.finding.against) for alarm in found.alarms] == [("no device_id", "last_week")]
    assert found.alarms[0].finding.rise == pytest.approx(0.1, abs=0.01)
