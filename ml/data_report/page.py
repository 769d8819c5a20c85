"""The page: one HTML file that asks nothing of the network."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import plotly.graph_objects as go  # type: ignore[import-untyped]

from ml.data_report import figures
from ml.data_report.findings import findings
from ml.data_report.summary import Summary, commonest
from ml.html_page import rendered

MOST_NUMBERS: Final = 30
_FOLDER: Final = Path(__file__).parent
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Plot(NamedTuple):
    """A plot; wide: over the whole width."""

    title: str
    drawn: str
    wide: bool = False


class Section(NamedTuple):
    """Plots of one question."""

    title: str
    note: str
    plots: list[Plot]


def page(summary: Summary, name: str) -> str:
    """The whole page as HTML; name: what the history is called."""
    return rendered(
        _FOLDER,
        name=name,
        script=(_FOLDER / "page.js").read_text(),
        headline=_headline(summary),
        span=f"{_time(summary.first_ms):%Y-%m-%d %H:%M} to {_time(summary.last_ms):%Y-%m-%d %H:%M} UTC",
        findings=findings(summary),
        sections=list(_sections(summary)),
        fields=list(_fields(summary)),
    )


def _headline(summary: Summary) -> list[tuple[str, str]]:
    found = [
        (f"{summary.rows:,}", "transactions"),
        (f"{len(summary.days):,}", "days with transactions"),
        (f"{summary.distinct['customer_id']:,}", "customers"),
        (f"{summary.distinct['merchant_id']:,}", "merchants"),
    ]
    if summary.labelled:
        found.append((f"{summary.frauds:,}", f"known as fraud: {summary.fraud_share:.2%}"))
    return found


def _sections(summary: Summary) -> Iterator[Section]:
    days = [_plot("Transactions", figures.by_day(summary), True)]
    if summary.frauds:
        days.append(_plot("Fraud", figures.fraud_by_day(summary), True))
    yield Section("Over the days", "Gaps and jumps here are often those of an export, not of customers.", days)
    weeks = [_plot("Traffic", figures.rhythm(summary.rhythm))]
    if summary.frauds and (summary.rhythm >= figures.LEAST_OF_AN_HOUR).any():
        weeks.append(_plot("Share of fraud", figures.fraud_rhythm(summary)))
    yield Section("The week's rhythm", "By weekday and hour, in UTC. Blank: too few transactions to say.", weeks)
    note = f"In {summary.currency}, on a logarithmic scale" if summary.currency else "As paid, on a logarithmic scale"
    note += "; honest payments and fraud each by their own number." if summary.frauds else "."
    yield Section("Amounts", note, [_plot("", figures.amounts(summary), True)])
    if any(summary.missing.values()):
        yield Section(
            "Missing values",
            "Fields that are not listed are always there.",
            [_plot("", figures.missing(summary), True)],
        )
    known = {name: values for name, values in summary.values.items() if values}
    if known:
        plots = [_plot(name, figures.commonest_values(values, summary.rows)) for name, values in known.items()]
        yield Section("Values", f"The {figures.MOST_SHOWN} commonest values of each field.", plots)
    if known and summary.frauds:
        plots = [
            _plot(name, figures.fraud_by(values))
            for name, values in known.items()
            if any(tally.rows >= figures.LEAST_ROWS for tally in values.values())
        ]
        least = f"those with at least {figures.LEAST_ROWS} transactions"
        note = f"The share of fraud of the commonest values, {least}; lines are 95 % intervals."
        yield from [Section("Fraud by field", note, plots)] if plots else []
    yield from _numbers(summary)
    yield Section(
        "Correlations",
        "Spearman's rank correlation. What goes along with fraud almost perfectly is often known only after it.",
        [_plot("", figures.correlations(summary), True)],
    )


def _numbers(summary: Summary) -> Iterator[Section]:
    shown = [
        name for name, values in summary.sample.items() if name not in ("amount", "hour") and np.isfinite(values).any()
    ][:MOST_NUMBERS]
    if shown:
        fraud = summary.sample_fraud
        plots = [_plot(name, figures.number(summary.sample[name], fraud, summary.labelled)) for name in shown]
        note = "Without the lowest and the highest half percent"
        note += "; blue: honest, red: fraud, each by its own number." if summary.frauds else "."
        yield Section("Numbers", note, plots)


def _fields(summary: Summary) -> Iterator[tuple[str, str, str, str]]:
    """Name, share missing, different values, and what is common, of each field."""
    for name, count in summary.missing.items():
        distinct = f"{summary.distinct[name]:,}" if name in summary.distinct else ""
        yield name, f"{count / summary.rows:.2%}" if count else "", distinct, _common(summary, name)


def _common(summary: Summary, name: str) -> str:
    if name == "event_time":
        return f"{_time(summary.first_ms):%Y-%m-%d} to {_time(summary.last_ms):%Y-%m-%d}"
    if name in summary.values:
        return ", ".join(
            f"{value} ({tally.rows / summary.rows:.0%})" for value, tally in commonest(summary.values[name], 3)
        )
    if name in summary.sample:
        values = summary.sample[name]
        values = values[np.isfinite(values)]
        if len(values):
            low, middle, high = figures.quantiles(values, (0.01, 0.5, 0.99))
            return f"median {middle:,.4g}; 98 % between {low:,.4g} and {high:,.4g}"
    return ""


def _plot(title: str, figure: go.Figure, wide: bool = False) -> Plot:
    config = {"displayModeBar": False, "responsive": True}
    return Plot(title, figure.to_html(full_html=False, include_plotlyjs=False, config=config), wide)


def _time(ms: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=ms)
