"""Live quality for people and for InfluxDB: the rows of a table, and points."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from lake.live_quality import Row
from ml.evaluation.estimates import Estimate
from sinks.line_protocol import points

COLUMNS: Final = (
    "model",
    "day",
    "ripe",
    "transactions",
    "alerts",
    "frauds known",
    "precision",
    "recall",
    "recall of all",
    "false positives",
    "saved",
    "lost",
)
MEASUREMENT: Final = "model_quality"
_ESTIMATES: Final = (
    "precision",
    "recall",
    "recall_of_all",
    "false_positive_rate",
    "amount_saved",
    "amount_lost",
)
_FIGURES: Final = (
    "transactions",
    "alerts",
    "ripeness",
    "known_frauds",
    "known_caught",
    "known_precision",
    "known_recall",
    "known_amount_saved",
    "known_amount_lost",
    "reviewed",
    "found_by_review",
)


def table_rows(rows: Sequence[Row]) -> list[list[str]]:
    """The cells under COLUMNS; an estimate has its interval, and nothing where there is none."""
    return [
        [
            f"{row.model_name} {row.model_version}",
            row.day or "all",
            "" if row.quality.ripeness is None else f"{row.quality.ripeness:.0%}",
            f"{row.quality.transactions:,}",
            f"{row.quality.alerts:,}",
            str(row.quality.known_frauds),
            _share(row.quality.precision),
            _share(row.quality.recall),
            _share(row.quality.recall_of_all),
            _share(row.quality.false_positive_rate, 3),
            _amount(row.quality.amount_saved),
            _amount(row.quality.amount_lost),
        ]
        for row in rows
    ]


def _share(estimate: Estimate, digits: int = 0) -> str:
    if estimate.value is None:
        return ""
    low, high = estimate.low or 0.0, 1.0 if estimate.high is None else estimate.high
    return f"{100 * estimate.value:.{digits}f} % ({100 * low:.{digits}f}–{100 * high:.{digits}f})"


def _amount(estimate: Estimate) -> str:
    return "" if estimate.value is None else f"{estimate.value:,.0f}"


def quality_points(rows: Sequence[Row]) -> bytes:
    """A point for each model and day, at the day's beginning: the same day written again replaces what was known before.

    Fields that have no value yet are left out.
    """
    of_days = [row for row in rows if row.day is not None]
    if not of_days:
        return b""
    times = [int(datetime.fromisoformat(row.day or "").replace(tzinfo=UTC).timestamp()) * 10**9 for row in of_days]
    tags = {
        "model_name": [row.model_name for row in of_days],
        "model_version": [str(row.model_version) for row in of_days],
    }
    fields = {name: [_float(getattr(row.quality, name)) for row in of_days] for name in _FIGURES}
    for name in _ESTIMATES:
        found: list[Estimate] = [getattr(row.quality, name) for row in of_days]
        fields[name] = [estimate.value for estimate in found]
        fields[f"{name}_low"] = [None if estimate.value is None else estimate.low for estimate in found]
        fields[f"{name}_high"] = [None if estimate.value is None else estimate.high for estimate in found]
    return points(
        MEASUREMENT,
        tags,
        {name: values for name, values in fields.items() if any(v is not None for v in values)},
        times,
    )


def _float(value: float | None) -> float | None:
    return None if value is None else float(value)
