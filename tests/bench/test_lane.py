"""The lane's figures: what is held, what the last line says, and what the report shows."""

from dataclasses import replace

import msgspec

from bench.figures import latency
from bench.lane import LanePlan, held
from bench.lane_figures import LaneFigures, lane_figures
from bench.lane_table import lane_section
from bench.open_loop import Load
from bench.result import Lane
from bench.sizes import FULL
from bench.targets import TARGETS
from tests.bench.results import whole


def load(rate: float, ms: float, errors: int = 0) -> Load:
    return Load(rate, 100, {200: 100 - errors, 503: errors}, 0, 0.1, latency([ms] * (100 - errors)))


LANE = Lane(
    rate=1_000.0,
    predict=load(1_000.0, 0.7),
    transactions=[load(1_000.0, 4.0), load(2_000.0, 19.0), load(3_000.0, 21.0)],
    early=latency([5, 6, 7]),
    early_beside_spark=latency([20, 30, 40]),
    peer=[load(20.0, 9.0)],
    records_compared=100_000,
    differing=0,
)


def test_the_last_line_has_the_figures_of_the_steady_rate_and_the_highest_rate_that_was_held() -> None:
    found = lane_figures(msgspec.structs.replace(whole(), lane=LANE))
    assert msgspec.to_builtins(found) == {
        "predict_ms_p50": 0.7,
        "predict_ms_p99": 0.7,
        "transactions_ms_p50": 4.0,
        "transactions_ms_p99": 4.0,
        "early_alert_ms_p50": 6.0,
        "early_alert_ms_p99": 7.0,
        "early_alert_ms_p99_beside_spark": 40.0,
        "highest_rate_at_p99_20_ms": 2_000.0,
        "records_compared": 100_000,
        "differing": 0,
    }


def test_what_was_not_measured_is_null() -> None:
    assert lane_figures(whole()) == LaneFigures()
    assert lane_figures(whole()).differing is None
    assert lane_section(None) == ""


def test_the_table_of_targets_judges_every_figure_of_the_lane() -> None:
    found = msgspec.structs.replace(whole(), lane=LANE)
    judged = {target.name: (target.value(found), target) for target in TARGETS}
    verdicts = {
        name: target.verdict(value, wanted=True)
        for name, (value, target) in judged.items()
        if value is not None and target.value(whole()) is None
    }
    assert verdicts == {
        "/predict at 1,000 a second, p50": "met (-13 %)",
        "/predict at 1,000 a second, p99": "met (-65 %)",
        "/transactions at 1,000 a second, p50": "met (+0 %)",
        "/transactions at 1,000 a second, p99": "met (-60 %)",
        "/transactions at 1,000 a second, p99.9": "met (-84 %)",
        "/transactions: highest rate, p99 ≤ 20 ms": "not met (-33 %)",
        "early alerts at 1,000 txn/s, p50": "met (-25 %)",
        "early alerts at 1,000 txn/s, p99": "met (-65 %)",
        "early alerts beside the Spark job, p50": "not met (+100 %)",
        "early alerts beside the Spark job, p99": "met (-33 %)",
        "both lanes: records compared": "not met (-90 %)",
        "both lanes: records that differ": "met",
    }


def test_the_whole_benchmark_compares_a_million_records_that_both_lanes_have_taken_in() -> None:
    assert FULL.whole_lane.backlog >= 1_000_000
    assert replace(FULL.whole_lane, backlog=FULL.lane.backlog) == FULL.lane


def test_a_rate_with_one_error_is_not_held_however_fast_the_others_were() -> None:
    assert held(load(1_000.0, 20.0))
    assert not held(load(1_000.0, 20.1))
    assert not held(load(1_000.0, 1.0, errors=1))
    assert not held(msgspec.structs.replace(load(1_000.0, 1.0), degraded=1))


def test_the_report_shows_every_rate_and_how_many_records_differ() -> None:
    text = lane_section(LANE)
    assert "| `POST /transactions` | 2,000 | 19.0 | 19.0 | 19.0 | 19.0 | 19.0 | 0 |" in text
    assert "| early alerts beside the Spark job | 1,000 | 30.0 |" in text
    assert "100,000 records compared with one fold along the log: 0 differ." in text


def test_the_whole_plan_compares_a_hundred_thousand_records_and_measures_within_eight_minutes() -> None:
    plan = FULL.lane
    assert plan == LanePlan()
    assert plan.compared >= 100_000
    http = 3 * (plan.warm_up_seconds + plan.seconds) + plan.rate_seconds * len(plan.rates)
    spark = plan.spark_warm_up_seconds + plan.spark_seconds
    assert http + spark + plan.peer_seconds * len(plan.peer_rates) < 240  # the rest is starting, comparing and waiting
