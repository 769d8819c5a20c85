"""Live quality and drift for Prometheus: files that node-exporter's textfile collector reads, written whole or not at all."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, Gauge, write_to_textfile

from lake.live_quality import Row
from ml.drift.alarms import Look
from ml.evaluation.estimates import Estimate

_ESTIMATES: Final = {
    "precision": "Share of the alerts that are fraud",
    "recall": "Share of the reported fraud that was alerted",
    "recall_of_all": "Share of all fraud that was alerted",
    "false_positive_rate": "Share of the honest payments that were alerted",
}
_COUNTS: Final = {
    "transactions": "Transactions",
    "alerts": "Alerts",
    "known_frauds": "Frauds that are known by now",
    "reviewed": "Transactions that were reviewed at random",
}
_MODEL: Final = ("model_name", "model_version")


def write_quality(file: Path, rows: Sequence[Row]) -> None:
    """Of each model all days together. What has no value yet is left out."""
    registry = CollectorRegistry()
    whole = [row for row in rows if row.day is None]
    for name, words in _ESTIMATES.items():
        gauge = Gauge(
            f"scoreline_quality_{name}_ratio", f"{words}, corrected for late labels.", _MODEL, registry=registry
        )
        for row in whole:
            estimate: Estimate = getattr(row.quality, name)
            if estimate.value is not None:
                gauge.labels(row.model_name, row.model_version).set(estimate.value)
    for name, words in _COUNTS.items():
        gauge = Gauge(f"scoreline_quality_{name}", f"{words}, all days.", _MODEL, registry=registry)
        for row in whole:
            gauge.labels(row.model_name, row.model_version).set(getattr(row.quality, name))
    _write(file, registry, "quality")


def write_drift(file: Path, found: Look, model_name: str, model_version: int) -> None:
    """Of each comparison of the newest windows whether an alarm of it lasts, and its PSI where it has one."""
    registry = CollectorRegistry()
    labels = (*_MODEL, "scale", "against", "what")
    alarm = Gauge(
        "scoreline_drift_alarm", "1 while an alarm of this comparison lasts, else 0.", labels, registry=registry
    )
    psi = Gauge(
        "scoreline_drift_psi_ratio", "Population stability index of the newest window.", labels, registry=registry
    )
    for each in found.newest:
        values = (model_name, model_version, each.scale, each.against, each.what)
        alarm.labels(*values).set(0)
        if each.psi is not None:
            psi.labels(*values).set(each.psi)
    for lasting in found.lasting:
        each = lasting.finding
        alarm.labels(model_name, model_version, each.scale, each.against, each.what).set(1)
    _write(file, registry, "drift")


def _write(file: Path, registry: CollectorRegistry, what: str) -> None:
    written = Gauge(f"scoreline_{what}_written_timestamp_seconds", "When this was written.", registry=registry)
    written.set(time.time())
    write_to_textfile(str(file), registry)
