"""The alarm rules, run by promtool: each fires by what it is for and by nothing else, and leads to its section of the docs."""

import re
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from jobs.runtime.metering.families import FAMILIES
from serving.metrics import Metrics
from tests.support.prometheus import complaints

ROOT: Final = Path(__file__).parents[2]
FILES: Final = sorted((ROOT / "prometheus" / "rules").glob("*.yml"))
RULES: Final = {
    rule["alert"]: rule
    for file in FILES
    for group in yaml.safe_load(file.read_text())["groups"]
    for rule in group["rules"]
}

STEADY: Final = "x320"
"""So many further samples, one every 15 seconds: 80 minutes."""

JOB: Final = 'instance="job:9109"'
SERVICE: Final = 'instance="service:8089"'
DETECT: Final = f'{JOB},query="detect"'
PUBLISH: Final = f'{JOB},query="publish"'

HEALTHY: Final = {
    f'up{{job="scoreline-job",{JOB}}}': "1+0",
    f"scoreline_job_records_total{{{DETECT}}}": "0+7500",  # 500 a second
    f"scoreline_job_lag_records{{{DETECT}}}": "200+0",
    f"scoreline_job_lag_records{{{PUBLISH}}}": "2500+0",
    f"scoreline_job_lag_seconds{{{DETECT}}}": "0.4+0",
    f"scoreline_job_lag_seconds{{{PUBLISH}}}": "5+0",
    f"scoreline_job_query_failing_since_timestamp_seconds{{{DETECT}}}": "0+0",
    f"scoreline_job_last_commit_timestamp_seconds{{{DETECT}}}": "0+15",
    f"scoreline_job_last_commit_timestamp_seconds{{{PUBLISH}}}": "0+15",
    f"scoreline_job_checkpoint_disk_free_bytes{{{JOB}}}": "50000000000+0",
    f'scoreline_job_dead_letters_total{{{JOB},reason="not_json"}}': "0+1",
    f'scoreline_job_dead_letters_total{{{JOB},reason="own_error"}}': "0+0",
    f"scoreline_job_scores_total{{{JOB}}}": "0+7500",
    f"scoreline_job_alerts_total{{{JOB}}}": "0+37",
    f"scoreline_job_alert_budget_ratio{{{JOB}}}": "0.005+0",
    f'scoreline_job_score_latency_seconds_bucket{{{JOB},le="1.0"}}': "0+7490",
    f'scoreline_job_score_latency_seconds_bucket{{{JOB},le="5.0"}}': "0+7500",
    f'scoreline_job_score_latency_seconds_bucket{{{JOB},le="+Inf"}}': "0+7500",
    f"scoreline_job_model_refused{{{JOB}}}": "0+0",
    f"scoreline_job_kafka_up{{{JOB}}}": "1+0",
    f'up{{job="scoreline-service",{SERVICE}}}': "1+0",
    f"scoreline_ready{{{SERVICE}}}": "1+0",
    f"scoreline_fallbacks_total{{{SERVICE}}}": "0+0",
    f'scoreline_decisions_total{{{SERVICE},decision="approve",by="model"}}': "0+750",
    f'scoreline_request_duration_seconds_bucket{{{SERVICE},route="/predict",le="0.25"}}': "0+750",
    f'scoreline_request_duration_seconds_bucket{{{SERVICE},route="/predict",le="+Inf"}}': "0+750",
    f"scoreline_early_alerts_total{{{SERVICE}}}": "0+37",
    f"scoreline_early_alerts_failed_total{{{SERVICE}}}": "0+0",
    f"scoreline_model_refused{{{SERVICE}}}": "0+0",
    'scoreline_drift_alarm{model_name="scoreline",model_version="1",what="amount_z"}': "0+0",
    "scoreline_quality_written_timestamp_seconds": "0+15",
}

ILL: Final[dict[str, list[dict[str, str]]]] = {
    "ScorelineJobDown": [{f'up{{job="scoreline-job",{JOB}}}': "0+0"}],
    "ScorelineNoScores": [{f"scoreline_job_records_total{{{DETECT}}}": "7500+0"}],
    "ScorelineLagGrowing": [
        {f"scoreline_job_lag_records{{{DETECT}}}": "200+100", f"scoreline_job_lag_seconds{{{DETECT}}}": "0+5"}
    ],
    "ScorelineLaneBehind": [{f"scoreline_job_lag_seconds{{{PUBLISH}}}": "900+0"}],
    "ScorelineQueryFailing": [{f"scoreline_job_query_failing_since_timestamp_seconds{{{PUBLISH}}}": "60+0"}],
    "ScorelineCheckpointFailing": [
        {f"scoreline_job_last_commit_timestamp_seconds{{{PUBLISH}}}": "60+0"},
        {f"scoreline_job_checkpoint_disk_free_bytes{{{JOB}}}": "1000000+0"},
    ],
    "ScorelineDeadLetters": [{f'scoreline_job_dead_letters_total{{{JOB},reason="not_json"}}': "0+200"}],
    "ScorelineOwnErrors": [{f'scoreline_job_dead_letters_total{{{JOB},reason="own_error"}}': "0+1"}],
    "ScorelineAlertShareHigh": [{f"scoreline_job_alerts_total{{{JOB}}}": "0+160"}],
    "ScorelineAlertShareLow": [{f"scoreline_job_alerts_total{{{JOB}}}": "0+1"}],
    "ScorelineLatencyHigh": [
        {
            f'scoreline_job_score_latency_seconds_bucket{{{JOB},le="1.0"}}': "0+10",
            f'scoreline_job_score_latency_seconds_bucket{{{JOB},le="5.0"}}': "0+7400",
            f'scoreline_job_score_latency_seconds_bucket{{{JOB},le="7.5"}}': "0+7500",
        }
    ],
    "ScorelineModelRefused": [
        {f"scoreline_job_model_refused{{{JOB}}}": "1+0"},
        {f"scoreline_model_refused{{{SERVICE}}}": "1+0"},
    ],
    "ScorelineKafkaUnavailable": [{f"scoreline_job_kafka_up{{{JOB}}}": "0+0"}],
    "ScorelineServiceDown": [{f'up{{job="scoreline-service",{SERVICE}}}': "0+0"}],
    "ScorelineServiceNotReady": [{f"scoreline_ready{{{SERVICE}}}": "0+0"}],
    "ScorelineFallbacks": [{f"scoreline_fallbacks_total{{{SERVICE}}}": "0+20"}],
    "ScorelineServiceLatencyHigh": [
        {
            f'scoreline_request_duration_seconds_bucket{{{SERVICE},route="/predict",le="0.25"}}': "0+700",
            f'scoreline_request_duration_seconds_bucket{{{SERVICE},route="/predict",le="1.0"}}': "0+750",
        }
    ],
    "ScorelineEarlyAlertsStalled": [
        {f"scoreline_early_alerts_total{{{SERVICE}}}": "37+0"},
        {f"scoreline_early_alerts_failed_total{{{SERVICE}}}": "0+1"},
    ],
    "ScorelineDrift": [{'scoreline_drift_alarm{model_name="scoreline",model_version="1",what="amount_z"}': "1+0"}],
    "ScorelineQualityStale": [{"scoreline_quality_written_timestamp_seconds": "-200000+0"}],
}
"""By alarm, what is otherwise than with a healthy system."""


def case(changes: dict[str, str], at: str, firing: list[str]) -> dict[str, Any]:
    """A test of promtool: with these series, these alarms and no others fire at a time."""
    series = [{"series": name, "values": values + STEADY} for name, values in (HEALTHY | changes).items()]
    samples = [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in firing]
    expression = 'group by (alertname) (ALERTS{alertstate="firing"})'
    asked = {"expr": expression, "eval_time": at, "exp_samples": samples}
    return {"interval": "15s", "input_series": series, "promql_expr_test": [asked]}


def said_of(cases: list[dict[str, Any]], folder: Path, files: list[Path] = FILES) -> str:
    file = folder / "cases.yml"
    rules = {"rule_files": [str(path) for path in files], "evaluation_interval": "1m"}
    file.write_text(yaml.safe_dump(rules | {"tests": cases}))
    return complaints("promtool", "test", "rules", str(file))


def test_promtool_takes_the_rules_and_the_configuration() -> None:
    assert complaints("promtool", "check", "rules", *map(str, FILES)) == ""
    assert complaints("promtool", "check", "config", str(ROOT / "prometheus" / "prometheus.yml")) == ""
    assert complaints("amtool", "check-config", str(ROOT / "prometheus" / "alertmanager.yml")) == ""


def test_no_alarm_fires_while_all_is_well(tmp_path: Path) -> None:
    assert said_of([case({}, at, []) for at in ("30s", "10m", "79m")], tmp_path) == ""


def test_each_alarm_fires_by_what_it_is_for_and_no_other_does(tmp_path: Path) -> None:
    assert ILL.keys() == RULES.keys()
    assert said_of([case(ill, "79m", [name]) for name, cases in ILL.items() for ill in cases], tmp_path) == ""


def test_no_alarm_fires_before_its_time_has_passed(tmp_path: Path) -> None:
    lasting = {name: cases for name, cases in ILL.items() if "for" in RULES[name]}
    assert len(lasting) >= len(RULES) - 1
    assert said_of([case(ill, "15s", []) for cases in lasting.values() for ill in cases], tmp_path) == ""


def test_without_a_lane_its_alarms_are_silent(tmp_path: Path) -> None:
    """A job alone, the service alone, and neither: what is not there has no alarm but that it is down."""
    alone = [
        {name: "_" for name in HEALTHY if f"scoreline_{part}" in name or f"scoreline-{part}" in name}
        for part in ("job", "")
    ]
    assert said_of([case(gone, "79m", []) for gone in alone], tmp_path) == ""


def test_promtool_is_asked_and_finds_an_alarm_that_does_not_fire(tmp_path: Path) -> None:
    assert "FAILED" in said_of([case({}, "79m", ["ScorelineJobDown"])], tmp_path)


# What a person reads


@pytest.mark.parametrize("name", RULES)
def test_an_alarm_says_what_it_means_and_leads_to_its_section(name: str) -> None:
    rule = RULES[name]
    assert rule["labels"]["severity"] in ("critical", "warning")
    notes = rule["annotations"]
    assert notes.keys() == {"summary", "description", "runbook_url"}
    assert notes["runbook_url"] == f"docs/alarms.md#{name.lower()}"
    section = re.search(
        rf"^## {name}\n(.*?)(?=^## |\Z)", (ROOT / "docs" / "alarms.md").read_text(), re.MULTILINE | re.DOTALL
    )
    assert section is not None
    for part in ("**What it means.**", "**Look at.**", "**Do.**"):
        assert part in section[1], part


def test_each_section_is_of_an_alarm() -> None:
    assert re.findall(r"^## (Scoreline\w+)$", (ROOT / "docs" / "alarms.md").read_text(), re.MULTILINE) == list(RULES)


def test_the_rules_ask_for_metrics_that_there_are() -> None:
    known = {family.name for family in FAMILIES}
    known |= {f"{family.name}{'_total' * (family.type == 'counter')}" for family in Metrics().registry.collect()}
    known |= {"scoreline_drift_alarm", "scoreline_quality_written_timestamp_seconds"}
    asked = {name for rule in RULES.values() for name in re.findall(r"\bscoreline_\w+", rule["expr"])}
    assert {name.removesuffix("_bucket") for name in asked} <= known
