"""Drift and live quality as files for Prometheus: promtool takes them, and what has no value is left out."""

from pathlib import Path

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from lake.live_quality import Row
from lake.prometheus import write_drift, write_quality
from ml.drift.alarms import Alarm, Look
from ml.drift.findings import Finding
from ml.evaluation.estimates import Estimate
from ml.quality.estimates import Quality
from tests.support.prometheus import complaints


def samples(file: Path) -> dict[tuple[str, ...], float]:
    text = file.read_text()
    assert complaints("promtool", "check", "metrics", text=text) == ""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def finding(what: str, psi: float | None) -> Finding:
    values = dict.fromkeys(Finding.__struct_fields__, 0.0)
    given = {"scale": "slow", "against": "training", "what": what, "begin": 0, "end": 1, "rows": 9, "reference_rows": 9}
    return msgspec.convert(values | given | {"psi": psi, "ratio": None, "rise": None, "is_drift": psi == 0.5}, Finding)


def test_a_comparison_says_whether_its_alarm_lasts(tmp_path: Path) -> None:
    drifting, steady = finding("amount_z", 0.5), finding('alerts of "a\\b\n"', None)
    write_drift(tmp_path / "drift.prom", Look((drifting, steady), (Alarm(drifting, 0, None),)), "scoreline", 3)
    found = samples(tmp_path / "drift.prom")
    alarms = {key[-1]: value for key, value in found.items() if key[0] == "scoreline_drift_alarm"}
    assert alarms == {"amount_z": 1, 'alerts of "a\\b\n"': 0}
    assert [value for key, value in found.items() if key[0] == "scoreline_drift_psi_ratio"] == [0.5]
    assert found[("scoreline_drift_written_timestamp_seconds",)] > 1e9


def test_quality_is_that_of_all_days_and_what_is_not_known_is_left_out(tmp_path: Path) -> None:
    known, unknown = Estimate(0.8, 0.7, 0.9), Estimate(None, None, None)
    values = dict.fromkeys(Quality.__struct_fields__, 4)
    estimates = {"recall_of_all": unknown, "precision": known, "recall": known, "false_positive_rate": known}
    quality = Quality(**values | estimates)  # type: ignore[arg-type]
    write_quality(tmp_path / "q.prom", [Row("scoreline", 1, None, quality), Row("scoreline", 1, "2026-01-01", quality)])
    found = samples(tmp_path / "q.prom")
    assert found["scoreline_quality_precision_ratio", "scoreline", "1"] == 0.8
    assert found["scoreline_quality_transactions", "scoreline", "1"] == 4
    assert not any(key[0] == "scoreline_quality_recall_of_all_ratio" for key in found)
    assert len(found) == 3 + 4 + 1


def test_nothing_known_is_a_file_all_the_same(tmp_path: Path) -> None:
    write_quality(tmp_path / "q.prom", [])
    assert len(samples(tmp_path / "q.prom")) == 1
