"""The summary says what has to hold and what does not, and ends with one line of JSON."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from rich.console import Console

from demo.accounts import Accounts, packed
from demo.labelled import Labelled
from demo.parts import PartQuality, Wave
from demo.quality import Part, Quality, ScenarioResult
from demo.story import Outcome
from demo.summary import Result, failed_conditions, json_line, print_summary

KEYS = (
    *("generated", "scored", "invalid", "alerts", "influx_points"),
    *("latency_ms_p50", "latency_ms_p99"),
    *("early_alerts", "early_latency_ms_p50", "early_latency_ms_p99", "first_alert_s"),
    *("precision", "recall", "model_version"),
    *("precision_before", "precision_after", "recall_before", "recall_after", "promoted"),
    *("wave_recall", "wave_first_alert_s", "drift_simulated_minutes", "page"),
)
PARTS = (
    PartQuality(Part("forest", 1), 20_000, Quality(100, 100, 50)),
    PartQuality(Part("labels", 1), 4_990, Quality(10, 30, 5)),
    PartQuality(Part("labels", 2), 5_000, Quality(10, 30, 5)),
)
GOOD = Result(
    rate=500,
    seconds=60,
    accounts=Accounts(generated=30_000, scored=29_990, invalid=10, alerts=120, missing=np.array([], np.int64)),
    points=29_990,
    points_in="InfluxDB",
    latency_ms_p50=640,
    latency_ms_p99=1_310,
    early_alerts=118,
    early_latency_ms_p50=3,
    early_latency_ms_p99=14,
    quality=Quality(alerts=120, frauds=160, caught=60),
    scenarios=[
        ScenarioResult("account_takeover", 40, 20, 7, 6, 3, 400.0),
        ScenarioResult("card_testing", 120, 40, 5, 0, None, None),
        ScenarioResult("compromised_merchant", 111, 33, 27, 13, 12.5, 1_610.0),
    ],
    parts=PARTS[:1],
    outcome=Outcome(),
    labelled=Labelled(2, Quality(alerts=100, frauds=160, caught=90), {"account_takeover": 30, "card_testing": 60}),
    model_version=1,
    first_alert_seconds=41.5,
    further=[("logs", "some/where")],
    logs=Path("logs"),
)


def test_the_json_line_has_the_figures_under_the_promised_names_in_one_line() -> None:
    line = json_line(GOOD)
    assert "\n" not in line
    figures = json.loads(line)
    assert tuple(figures) == KEYS
    assert (figures["generated"], figures["influx_points"], figures["precision"], figures["recall"]) == (
        30_000,
        29_990,
        0.5,
        0.375,
    )


def test_the_latency_of_early_alerts_stands_beside_the_jobs_and_is_null_where_the_service_sent_none() -> None:
    figures = json.loads(json_line(GOOD))
    assert (figures["latency_ms_p50"], figures["early_latency_ms_p50"], figures["early_latency_ms_p99"]) == (640, 3, 14)
    without = replace(GOOD, early_alerts=0, early_latency_ms_p50=None, early_latency_ms_p99=None)
    assert json.loads(json_line(without))["early_latency_ms_p50"] is None
    assert failed_conditions(without) == []
    console = Console(width=80, record=True, force_terminal=False)
    print_summary(without, console)
    assert "the service sent none" in console.export_text()


def test_precision_and_recall_are_null_where_there_was_no_fraud() -> None:
    figures = json.loads(json_line(replace(GOOD, quality=Quality(alerts=5, frauds=0, caught=0))))
    assert figures["precision"] is None
    assert figures["recall"] is None


def test_a_good_run_fails_no_condition() -> None:
    assert failed_conditions(GOOD) == []


def test_each_condition_that_fails_has_its_line() -> None:
    accounts = replace(
        GOOD.accounts, generated=28_499, alerts=0, missing=np.array([packed(2, 5), packed(3, 0)], np.int64)
    )
    slow, lost, points, alerts = failed_conditions(replace(GOOD, accounts=accounts, points=29_989))
    assert "28,499 transactions were generated, and at least 28,500" in slow
    assert "2 transactions are neither scored nor invalid" in lost
    assert "partition 2, offset 5" in lost
    assert "29,989 distinct points of 29,990 scores" in points
    assert "no alert" in alerts


def test_the_tables_tell_of_each_scenario_and_fit_80_columns() -> None:
    console = Console(width=80, record=True, force_terminal=False)
    print_summary(GOOD, console)
    text = console.export_text()
    assert "6 of 7" in text
    assert "median 3 ms; p99 14 ms; by the service" in text
    assert "0 of 5" in text
    assert "transaction 3, after 7 min" in text
    assert "by version 1, which saw no label, 20,000" in text
    assert "of 160 frauds, by a model that learned from labels" in text
    assert "90 of 100 alerts are fraud" in text
    assert "account takeover" in text
    assert "transaction 12.5, after 27 min" in text  # in one piece: the longest is not broken into two lines
    assert max(map(len, text.splitlines())) <= 80


def test_a_run_without_fraud_says_so() -> None:
    console = Console(width=80, record=True, force_terminal=False)
    print_summary(replace(GOOD, scenarios=[], quality=Quality(3, 0, 0)), console)
    assert "There was no fraud in this run." in console.export_text()


STORY = replace(
    GOOD,
    parts=[*PARTS, PartQuality(Part("attack", 2), 10_000, Quality(400, 500, 380))],
    outcome=Outcome(
        learned={2}, promoted=12.0, wave=Wave(400, 300, 2.34), drift_begins=datetime(2024, 6, 3, 18, tzinfo=UTC)
    ),
    labelled=None,
    model_version=2,
    page="http://127.0.0.1:8090",
)


def test_precision_and_recall_before_and_after_are_those_of_ordinary_traffic_by_who_had_seen_labels() -> None:
    figures = json.loads(json_line(STORY))
    assert tuple(figures) == KEYS
    assert (figures["precision_before"], figures["recall_before"]) == (0.5, round(55 / 130, 4))
    assert (figures["precision_after"], figures["recall_after"]) == (0.5, round(5 / 30, 4))
    assert (figures["promoted"], figures["wave_recall"], figures["wave_first_alert_s"]) == (True, 0.75, 2.34)
    assert (figures["drift_simulated_minutes"], figures["page"]) == (None, "http://127.0.0.1:8090")
    without = json.loads(json_line(GOOD))
    assert (without["precision_after"], without["promoted"], without["wave_recall"]) == (None, False, None)


def test_the_summary_of_a_story_says_who_judged_how_many_and_what_came_of_the_wave_and_the_shift() -> None:
    console = Console(width=100, record=True, force_terminal=False)
    print_summary(STORY, console)
    text = console.export_text()
    assert "version 1, which saw no label, 24,990; version 2, which learned from labels, 15,000" in " ".join(
        text.split()
    )
    assert "the wave: 300 of 400 frauds alerted, the first alert 2.3 s after the first of them reached Kafka" in text
    assert "drift was not noticed before the run ended" in text
    assert "with labels" not in text


def test_a_promotion_that_did_not_come_about_says_why() -> None:
    console = Console(width=100, record=True, force_terminal=False)
    print_summary(replace(GOOD, outcome=Outcome(not_promoted="version 2: refused (speed)")), console)
    assert "no promotion: version 2: refused (speed)" in console.export_text()
