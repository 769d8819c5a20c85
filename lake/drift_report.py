"""Drift for people and for InfluxDB: the rows of a table, and points."""

from datetime import UTC, datetime
from typing import Final

from ml.drift.alarms import Alarm, Look
from ml.drift.findings import Finding
from sinks.line_protocol import points

COLUMNS: Final = ("what", "against", "scale", "alarm since", "until", "size", "JS", "KS", "p", "transactions")
MEASUREMENT: Final = "model_drift"
_FIELDS: Final = ("psi", "jensen_shannon", "kolmogorov_smirnov", "ratio", "rise", "p")


def drift_rows(found: Look, every: bool = False) -> tuple[tuple[str, ...], list[list[str]]]:
    """The header, and a row for each alarm; with `every` also one for each comparison of the newest windows."""
    rows = [_row(alarm.finding, alarm) for alarm in found.alarms]
    if every:
        rows += [_row(finding, None) for finding in found.newest]
    return COLUMNS, rows


def _row(finding: Finding, alarm: Alarm | None) -> list[str]:
    since = until = ""
    if alarm is not None:
        since, until = _time(alarm.since), "" if alarm.until is None else _time(alarm.until)
    return [
        finding.what,
        finding.against.replace("_", " "),
        finding.scale,
        since,
        until,
        _size(finding),
        f"{finding.jensen_shannon:.4f}",
        f"{finding.kolmogorov_smirnov:.3f}",
        f"{finding.p:.1e}",
        f"{finding.rows:,}",
    ]


def _size(finding: Finding) -> str:
    if finding.psi is not None:
        return f"PSI {finding.psi:.3f}"
    return f"× {finding.ratio:.2f}" if finding.ratio is not None else f"{finding.rise or 0.0:+.1%}"


def _time(milliseconds: int) -> str:
    return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%d %H:%M}"


def drift_points(found: Look, model_name: str, model_version: int) -> bytes:
    """A point for each comparison of the newest windows, at the window's end; is_alarm: whether an alarm of it lasts."""
    if not found.newest:
        return b""
    lasting = {(alarm.finding.scale, alarm.finding.against, alarm.finding.what) for alarm in found.lasting}
    tags = {
        "model_name": [model_name] * len(found.newest),
        "model_version": [str(model_version)] * len(found.newest),
        **{name: [getattr(each, name) for each in found.newest] for name in ("scale", "against", "what")},
    }
    fields: dict[str, list[float | None] | list[bool]] = {
        name: [getattr(each, name) for each in found.newest] for name in _FIELDS
    }
    fields = {name: values for name, values in fields.items() if any(value is not None for value in values)}
    fields["is_alarm"] = [(each.scale, each.against, each.what) in lasting for each in found.newest]
    return points(MEASUREMENT, tags, fields, [each.end * 1_000_000 for each in found.newest])
