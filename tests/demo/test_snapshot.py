"""Rates, lag and latency are those of the last ten seconds."""

import pytest

from demo.snapshot import Gauges, Snapshot
from demo.tally import Tally
from tests.demo.records import score


def run(seconds: int, per_second: int, latency_ms: int = 400) -> Snapshot:
    """A run at a steady rate, whose simulated clock is 60 times as fast, and whose job is one second behind."""
    gauges, tally = Gauges(), Tally()
    snapshot = Snapshot()
    for second in range(1, seconds + 1):
        for n in range((second - 1) * per_second, second * per_second):
            tally.score(score(n, minutes=n / per_second), 1_000_000 + latency_ms)
            gauges.latency(second, latency_ms)
        snapshot = gauges.read(float(second), (second + 1) * per_second, tally)
    return snapshot


def test_a_steady_run_shows_its_rates_lag_latency_and_speed() -> None:
    snapshot = run(seconds=30, per_second=20)
    assert snapshot.arrived_per_second == pytest.approx(20)
    assert snapshot.scored_per_second == pytest.approx(20)
    assert (snapshot.arrived, snapshot.scored, snapshot.lag) == (620, 600, 20)
    assert (snapshot.latency_ms_p50, snapshot.latency_ms_p99) == (400, 400)
    assert snapshot.speed == pytest.approx(60)
    assert snapshot.seconds == 29
    assert snapshot.scored_bins == pytest.approx([20] * 14)


def test_latency_forgets_what_is_older_than_ten_seconds() -> None:
    gauges, tally = Gauges(), Tally()
    gauges.latency(0.0, 9_000)
    gauges.latency(9.0, 300)
    assert gauges.read(9.5, 2, tally).latency_ms_p99 == 9_000
    assert gauges.read(10.5, 2, tally).latency_ms_p99 == 300


def test_before_any_traffic_there_are_no_rates_and_no_time_has_passed() -> None:
    gauges, tally = Gauges(), Tally()
    gauges.read(0.0, 0, tally)
    snapshot = gauges.read(50.0, 0, tally)
    assert (snapshot.seconds, snapshot.arrived_per_second, snapshot.latency_ms_p50, snapshot.speed) == (
        0,
        0,
        None,
        None,
    )
    assert snapshot.scored_bins == ()


def test_lag_counts_dead_letters_as_done() -> None:
    tally = Tally()
    tally.score(score(0), 1_000_400)
    tally.dead_letter(0, 1)
    assert Gauges().read(1.0, 5, tally).lag == 3


def test_the_first_alert_keeps_its_time() -> None:
    gauges, tally = Gauges(), Tally()
    assert gauges.read(1.0, 1, tally).first_alert is None
    tally.score(score(0, anomaly=True), 1_000_400)
    assert gauges.read(2.0, 1, tally).first_alert == 2.0
    assert gauges.read(3.0, 1, tally).first_alert == 2.0
