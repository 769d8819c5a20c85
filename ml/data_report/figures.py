"""The page's plots, by Plotly; colours that depend on light or dark are set by the page."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from html import escape
from typing import Final

import numpy as np
import plotly.graph_objects as go  # type: ignore[import-untyped]

from ml.arrays import Flags, Floats, Ints
from ml.data_report.summary import AMOUNT_EDGES, Summary, Tally, commonest

HONEST, FRAUD, ALL = "#3f8fcf", "#e0565b", "#3f8fcf"
WEEKDAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MOST_SHOWN: Final = 12
LEAST_ROWS: Final = 30
LEAST_OF_AN_HOUR: Final = 200
_Z: Final = 1.96
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def by_day(summary: Summary) -> go.Figure:
    """Transactions a day."""
    days = list(range(min(summary.days), max(summary.days) + 1)) if len(summary.days) > 1 else list(summary.days)
    if len(days) > 20_000:
        days = sorted(summary.days)
    times = [_EPOCH + timedelta(days=day) for day in days]
    figure = go.Figure()
    figure.add_scatter(
        x=times,
        y=[summary.days.get(day, (0, 0, 0.0))[0] for day in days],
        mode="lines" if len(days) > 2 else "markers",
        line={"color": ALL, "width": 2},
        hovertemplate="%{x|%a %d %b %Y}<br>%{y:,} transactions<extra></extra>",
    )
    figure.update_yaxes(rangemode="tozero", title="transactions a day", tickformat="~s")
    return _plain(figure)


def fraud_by_day(summary: Summary) -> go.Figure:
    """The share of each week, or of each day in a short history, that is known as fraud."""
    width = 7 if len(summary.days) > 60 else 1
    of: dict[int, list[int]] = {}
    for day, (rows, frauds, _) in summary.days.items():
        tally = of.setdefault(day // width, [0, 0])
        tally[0], tally[1] = tally[0] + rows, tally[1] + frauds
    blocks = sorted(of)
    figure = go.Figure()
    figure.add_scatter(
        x=[_EPOCH + timedelta(days=block * width) for block in blocks],
        y=[of[block][1] / of[block][0] for block in blocks],
        mode="lines+markers" if len(blocks) < 80 else "lines",
        line={"color": FRAUD, "width": 2},
        hovertemplate="%{x|%d %b %Y}<br>%{y:.3%} fraud<extra></extra>",
    )
    what = "week" if width == 7 else "day"
    figure.update_yaxes(rangemode="tozero", title=f"fraud, share of a {what}", tickformat=".2~%")
    return _plain(figure)


def rhythm(counts: Ints) -> go.Figure:
    """Transactions by weekday and hour, against an hour's average."""
    return _week(counts / max(counts.mean(), 1e-12), ".2f", "times the average hour", "blue")


def fraud_rhythm(summary: Summary) -> go.Figure:
    """The share that is known as fraud, by weekday and hour; blank where there are too few rows to say."""
    enough = summary.rhythm >= LEAST_OF_AN_HOUR
    share = np.where(enough, summary.fraud_rhythm / np.maximum(summary.rhythm, 1), np.nan)
    return _week(share, ".2%", "fraud", "red")


def amounts(summary: Summary) -> go.Figure:
    """How amounts spread, honest and fraudulent ones each by their own number; bins grow with the amount."""
    totals = summary.amounts.sum(axis=1)
    used = np.flatnonzero(summary.amounts.sum(axis=0)[1:]) + 1
    figure = go.Figure()
    if not len(used):
        return _plain(figure)
    low, high = int(used[0]), int(used[-1])
    edges = AMOUNT_EDGES[low : high + 1]
    middles = edges * np.sqrt(AMOUNT_EDGES[-1] / AMOUNT_EDGES[-2])
    names = ("honest", "fraud") if summary.labelled else ("all", "")
    for k, (name, colour) in enumerate(zip(names, (HONEST, FRAUD), strict=True)):
        if totals[k] and name:
            share = summary.amounts[k, low : high + 1] / totals[k]
            hover = "around %{x:,.2f}<br>%{y:.2%} of these<extra>" + name + "</extra>"
            line = {"color": colour, "width": 2, "shape": "hvh"}
            figure.add_scatter(
                x=middles, y=share, name=name, mode="lines", line=line, fill="tozeroy", hovertemplate=hover
            )
    figure.update_xaxes(type="log", title="amount", tickformat="~s", dtick=1)
    figure.update_yaxes(title="share", tickformat=".0%", rangemode="tozero")
    return _plain(figure, legend=summary.labelled)


def missing(summary: Summary) -> go.Figure:
    """The share of rows without a value, by field."""
    names = [name for name, count in summary.missing.items() if count][::-1]
    shares = [summary.missing[name] / summary.rows for name in names]
    figure = go.Figure()
    hover = "%{y}: %{x:.2%} without a value<extra></extra>"
    texts = [f"{share:.1%}" if share >= 0.001 else "< 0.1%" for share in shares]
    figure.add_bar(x=shares, y=names, orientation="h", marker_color=ALL, text=texts, hovertemplate=hover)
    figure.update_traces(textposition="outside", cliponaxis=False)
    figure.update_xaxes(tickformat=".0%", range=[0, 1.12], tickvals=[0, 0.25, 0.5, 0.75, 1])
    return _plain(figure, height=90 + 26 * max(len(names), 1))


def fraud_by(values: dict[str, Tally]) -> go.Figure:
    """The share of fraud of a field's commonest values, with 95 % intervals (Wilson 1927)."""
    shown = [(name, tally) for name, tally in commonest(values, MOST_SHOWN) if tally.rows >= LEAST_ROWS]
    shown.sort(key=lambda item: item[1].frauds / item[1].rows)
    rows = np.array([tally.rows for _, tally in shown], np.float64)
    share = np.array([tally.frauds for _, tally in shown]) / np.maximum(rows, 1)
    low, high = _wilson(share, rows)
    figure = go.Figure()
    figure.add_scatter(
        x=share,
        y=[_short(name) for name, _ in shown],
        mode="markers",
        marker={"color": FRAUD, "size": 9},
        error_x={"array": high - share, "arrayminus": share - low, "color": FRAUD, "thickness": 1.5, "width": 3},
        customdata=np.stack([rows, low, high], axis=1) if len(rows) else None,
        hovertemplate="%{y}: %{x:.3%} fraud (%{customdata[1]:.3%} to %{customdata[2]:.3%})<br>"
        "%{customdata[0]:,} transactions<extra></extra>",
    )
    figure.update_xaxes(tickformat=".2~%", rangemode="tozero", nticks=5)
    return _plain(figure, height=90 + 26 * max(len(shown), 1))


def commonest_values(values: dict[str, Tally], total: int) -> go.Figure:
    """The share of a field's commonest values."""
    shown = list(commonest(values, MOST_SHOWN))[::-1]
    shares = [tally.rows / total for _, tally in shown]
    figure = go.Figure()
    figure.add_bar(
        x=shares,
        y=[_short(name) for name, _ in shown],
        orientation="h",
        marker_color=ALL,
        hovertemplate="%{y}: %{x:.2%} of the transactions<extra></extra>",
    )
    figure.update_xaxes(tickformat=".1~%", nticks=5)
    return _plain(figure, height=90 + 26 * max(len(shown), 1))


def number(values: Floats, fraud: Flags, labelled: bool) -> go.Figure:
    """How a number spreads between its 0.5th and its 99.5th percentile; fraud beside it where there is some."""
    known = np.isfinite(values)
    low, high = quantiles(values[known], (0.005, 0.995))
    edges = np.linspace(low / 2, (high if high > low else low + 1) / 2, 41) * 2
    figure = go.Figure()
    groups = [("honest", HONEST, known & ~fraud), ("fraud", FRAUD, known & fraud)]
    if not labelled or groups[1][2].sum() < LEAST_ROWS:
        groups = [("all", ALL, known)]
    for name, colour, rows in groups:
        share = np.histogram(values[rows], edges)[0] / max(int(rows.sum()), 1)
        line = {"color": colour, "width": 1.5, "shape": "hvh"}
        hover = "around %{x:,.4g}<br>%{y:.2%}<extra>" + name + "</extra>"
        middles = edges[1:] / 2 + edges[:-1] / 2
        figure.add_scatter(x=middles, y=share, name=name, mode="lines", line=line, fill="tozeroy", hovertemplate=hover)
    figure.update_yaxes(tickformat=".0%", rangemode="tozero", nticks=4)
    figure.update_xaxes(nticks=5)
    return _plain(figure, height=200)


def quantiles(values: Floats, shares: Sequence[float]) -> list[float]:
    """Quantiles of finite values, also where the values are so large that their differences are not finite.

    >>> quantiles(np.array([-1.5e308, 0.0, 1.5e308]), [0.0, 0.5, 1.0])
    [-1.5e+308, 0.0, 1.5e+308]
    """
    found: list[float] = (np.quantile(values / 4, shares) * 4).tolist()
    return found


def correlations(summary: Summary) -> go.Figure:
    """Spearman's rank correlations, from -1 to 1."""
    found = summary.correlations()
    names = list(found.columns)
    figure = go.Figure()
    values: Floats = found.to_numpy(np.float64)
    texts = [
        ["" if np.isnan(value) else f"{value + 0.0:.2f}".replace("-0.00", "0.00") for value in row] for row in values
    ]
    figure.add_heatmap(
        z=values,
        x=names,
        y=names,
        zmin=-1,
        zmax=1,
        text=texts,
        texttemplate="%{text}" if len(names) <= 12 else "",
        meta="diverging",
        xgap=1,
        ygap=1,
        colorbar={"thickness": 10, "outlinewidth": 0},
        hovertemplate="%{y} and %{x}: %{z:.3f}<extra></extra>",
    )
    figure.update_yaxes(autorange="reversed")
    figure.update_xaxes(tickangle=-45)
    return _plain(figure, height=min(900, 160 + 30 * max(len(names), 2)))


def _week(values: Floats, form: str, what: str, meta: str) -> go.Figure:
    hours = list(range(24))
    figure = go.Figure()
    figure.add_heatmap(
        z=values,
        x=hours,
        y=WEEKDAYS,
        xgap=1,
        ygap=1,
        meta=meta,
        zmin=0,
        colorbar={"thickness": 10, "outlinewidth": 0, "tickformat": form},
        hovertemplate="%{y} %{x}:00 to %{x}:59 UTC<br>%{z:" + form + "} " + what + "<extra></extra>",
        hoverongaps=False,
    )
    figure.update_yaxes(autorange="reversed", showgrid=False)
    figure.update_xaxes(tickvals=hours[::3], title="hour (UTC)", showgrid=False)
    return _plain(figure, height=280)


def _wilson(share: Floats, rows: Floats) -> tuple[Floats, Floats]:
    n = np.maximum(rows, 1)
    middle = (share + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    half = _Z / (1 + _Z**2 / n) * np.sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2))
    return np.minimum(np.maximum(middle - half, 0), share), np.maximum(middle + half, share)


def _short(name: str) -> str:
    """A value that can be anything, as a label: Plotly takes some HTML in it."""
    return escape(name if len(name) <= 24 else name[:23] + "…")


def _plain(figure: go.Figure, height: int = 300, legend: bool = False) -> go.Figure:
    figure.update_layout(
        template="none",
        height=height,
        margin={"t": 36 if legend else 8, "r": 16, "l": 16, "b": 16},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": "system-ui, sans-serif", "size": 12},
        showlegend=legend,
        legend={"orientation": "h", "x": 1, "xanchor": "right", "y": 1.02, "yanchor": "bottom"},
        bargap=0.25,
        dragmode=False,
    )
    figure.update_xaxes(automargin=True, zeroline=False, title_standoff=8)
    figure.update_yaxes(automargin=True, zeroline=False, title_standoff=8)
    return figure
