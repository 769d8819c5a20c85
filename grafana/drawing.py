"""A dashboard as a picture, for the docs: its panels' real answers, drawn by us and not by Grafana."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from grafana.answers import Series, Servers, rows_of, series_of
from grafana.asking import QueryFailed, Span, dashboard
from grafana.units import in_unit

_COLUMNS: Final = 24
_INCHES_A_COLUMN: Final = 0.62
_INCHES_A_ROW: Final = 0.34
_DOTS_PER_INCH: Final = 90
_INK, _FAINT, _PAPER = "#1f2933", "#7b8794", "#ffffff"
_COLOURS: Final = {"green": "#37872d", "orange": "#e0751a", "red": "#c4162a", "blue": "#1f60c4", "text": _INK}
_PALETTE: Final = ("#1f60c4", "#e0751a", "#37872d", "#8f3bb8", "#c4162a", "#0f8a8a", "#7b8794", "#b7950b")
_NOTE: Final = "drawn by `python -m grafana draw` from the panels' own queries; Grafana draws them otherwise"
_BARS, _ROWS = 12, 7


def draw(board: str, servers: Servers, span: Span, file: Path) -> list[str]:
    """Draw a board of a time range into a PNG. Returns what could not be asked, each a line; such a panel says so too."""
    made = dashboard(board)
    panels = made["panels"]
    height = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels)
    figure = Figure((_COLUMNS * _INCHES_A_COLUMN, (height + 2) * _INCHES_A_ROW), _DOTS_PER_INCH, facecolor=_PAPER)
    figure.text(0.01, 1 - 0.9 / (height + 2), made["title"], size=15, color=_INK, weight="bold", va="center")
    figure.text(0.99, 1 - 0.9 / (height + 2), _NOTE, size=8, color=_FAINT, ha="right", va="center")
    failed = []
    for panel in panels:
        axes = figure.add_axes(_place(panel["gridPos"], height + 2))
        try:
            _draw(axes, panel, servers, board, span)
        except QueryFailed as error:
            failed.append(str(error))
            _words(axes, "not asked: see the console", _COLOURS["red"])
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file)
    return failed


def _place(grid: dict[str, int], height: int) -> tuple[float, float, float, float]:
    """Left, bottom, width, height, as parts of the figure, with room for titles and axes."""
    left, right = grid["x"] + 1.2, grid["x"] + grid["w"] - 0.25
    top, bottom = grid["y"] + 2 + 1.0, grid["y"] + 2 + grid["h"] - 1.1 * (grid["h"] > 4)
    return left / _COLUMNS, 1 - bottom / height, (right - left) / _COLUMNS, (bottom - top) / height


def _draw(axes: Axes, panel: dict[str, Any], servers: Servers, board: str, span: Span) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    if panel["type"] == "row":
        axes.set_axis_off()
        axes.text(0, 0.2, panel["title"], size=11, color=_INK, weight="bold", transform=axes.transAxes)
        return
    axes.set_title(panel["title"], size=8.5, color=_INK, loc="left", pad=4)
    axes.tick_params(labelsize=7, colors=_FAINT)
    if panel["type"] in ("table", "bargauge"):
        _OF_ROWS[panel["type"]](axes, panel, rows_of(panel, servers, board, span))
        return
    found = series_of(panel, servers, board, span)
    if not found:
        _words(axes, panel["fieldConfig"]["defaults"].get("noValue", "no data"), _FAINT)
        return
    _OF_SERIES[panel["type"]](axes, panel, found)
    if panel["type"] != "stat":
        axes.set_xlim(*(datetime.fromtimestamp(at / 1000, UTC) for at in (span.begin, span.end)))  # type: ignore[arg-type]
        locator = AutoDateLocator(maxticks=5)  # type: ignore[no-untyped-call]
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, show_offset=False))  # type: ignore[no-untyped-call]


def _words(axes: Axes, text: str, colour: str) -> None:
    axes.set_axis_off()
    axes.text(0.5, 0.5, text, size=9, color=colour, ha="center", va="center", transform=axes.transAxes)


def _stat(axes: Axes, panel: dict[str, Any], found: list[Series]) -> None:
    reduce, settings = panel["options"]["reduceOptions"], panel["fieldConfig"]["defaults"]
    series = found[0]
    if "Time" in reduce["fields"]:
        value = series.times[-1]
    else:
        value = sum(series.values) if reduce["calcs"] == ["sum"] else series.values[-1]
    steps = [step for step in settings["thresholds"]["steps"] if step["value"] is None or value >= step["value"]]
    colour = _COLOURS.get(steps[-1]["color"], _INK) if panel["options"]["colorMode"] == "value" else _INK
    if panel["options"]["graphMode"] == "area" and len(series.values) > 1:
        axes.fill_between(series.times, series.values, color=colour, alpha=0.12, linewidth=0)
        axes.set_ylim(0, max(series.values) * 2.5 or 1)
    _words(axes, in_unit(value, settings), colour)
    axes.texts[-1].set_fontsize(17)


def _lines(axes: Axes, panel: dict[str, Any], found: list[Series]) -> None:
    settings = panel["fieldConfig"]["defaults"]
    custom = settings.get("custom", {})
    stacked = custom.get("stacking", {}).get("mode") == "normal"
    marker = "o" if custom.get("showPoints") == "always" else ""
    below: np.ndarray[Any, Any] | float = 0.0
    same_times = len({tuple(series.times) for series in found}) == 1
    for number, series in enumerate(found):
        colour = _PALETTE[number % len(_PALETTE)]
        times = [datetime.fromtimestamp(at / 1000, UTC) for at in series.times]
        values = np.asarray(series.values, dtype=float)
        if stacked and same_times:
            axes.fill_between(times, below, below + values, color=colour, alpha=0.55, linewidth=0, label=series.name)  # type: ignore[arg-type]
            below = below + values
        else:
            axes.plot(times, values, color=colour, linewidth=1.3, marker=marker, markersize=3, label=series.name)  # type: ignore[arg-type]
    if not any(any(series.values) for series in found):
        axes.set_ylim(0, 1)  # else the axis is of nothing, with decimals
    axes.set_ylim(bottom=min(0.0, *(min(series.values) for series in found)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: in_unit(value, settings)))
    axes.grid(axis="y", color="#e4e7eb", linewidth=0.6)
    if len(found) > 1 or found[0].name not in ("", "__auto"):
        if len(found) <= 6:  # there is room for all beside the title
            axes.legend(
                fontsize=6.5, frameon=False, ncols=6, loc="lower right", bbox_to_anchor=(1, 0.98), handlelength=1.2
            )
        else:
            axes.legend(fontsize=6.5, frameon=False, ncols=3, loc="upper left", handlelength=1.2)


def _heat(axes: Axes, panel: dict[str, Any], found: list[Series]) -> None:
    del panel
    times = sorted({at for series in found for at in series.times})
    found = sorted(found, key=lambda series: float(series.name))
    counts = np.zeros((len(found), len(times)))
    column = {at: number for number, at in enumerate(times)}
    for row, series in enumerate(found):
        for at, value in zip(series.times, series.values, strict=True):
            counts[row, column[at]] = value
    edges = [datetime.fromtimestamp(at / 1000, UTC) for at in times]
    bins = np.array([float(series.name) for series in found])
    axes.pcolormesh(edges, bins, np.sqrt(counts), cmap="Blues", shading="nearest")  # type: ignore[arg-type]
    axes.set_ylim(0, 1)


def _timeline(axes: Axes, panel: dict[str, Any], found: list[Series]) -> None:
    settings = panel["fieldConfig"]["defaults"]
    for row, series in enumerate(found):
        changes = [n for n, value in enumerate(series.values) if n == 0 or value != series.values[n - 1]]
        for begin, end in zip(changes, [*changes[1:], len(series.values) - 1], strict=True):
            first, last = (datetime.fromtimestamp(series.times[n] / 1000, UTC) for n in (begin, end))
            axes.barh(row, last - first, left=first, height=0.5, color=_PALETTE[0], alpha=0.6, edgecolor=_PAPER)  # type: ignore[arg-type]
            axes.text(first, row, f" {in_unit(series.values[begin], settings)}", size=7.5, va="center", color=_INK)  # type: ignore[arg-type]
    _names_inside(axes, [series.name for series in found], 0.42)
    axes.set_ylim(-0.6, len(found) - 0.4)


def _bars(axes: Axes, panel: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    settings = panel["fieldConfig"]["defaults"]
    field = re.sub(r"[/^$]", "", panel["options"]["reduceOptions"]["fields"])
    tags = [
        column for column in (rows or [{}])[0] if column not in ("time", field) and isinstance(rows[0][column], str)
    ]
    found = sorted(((row[field] or 0, " ".join(str(row[tag]) for tag in tags)) for row in rows), reverse=True)[:_BARS]
    if not found:
        _words(axes, settings.get("noValue", "no data"), _FAINT)
        return
    axes.barh(range(len(found)), [value for value, _ in found], color=_COLOURS["orange"], height=0.65)
    _names_inside(axes, [name for _, name in found], 0.0)
    axes.invert_yaxis()
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: in_unit(value, settings)))


def _names_inside(axes: Axes, names: list[str], above: float) -> None:
    """The names of rows, at the left end of each and so much above its middle: beside the axis there is no room."""
    axes.set_yticks([])
    for row, name in enumerate(names):
        axes.annotate(name, (0.01, row + above), xycoords=("axes fraction", "data"), size=7, color=_INK, va="center")


def _table(axes: Axes, panel: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    axes.set_axis_off()
    axes.set_title(panel["title"], size=8.5, color=_INK, loc="left", pad=4)
    if not rows:
        _words(axes, panel["fieldConfig"]["defaults"].get("noValue", "no data"), _FAINT)
        return
    columns = list(rows[0])
    cells = [[_cell(name, row.get(name)) for name in columns] for row in rows[:_ROWS]]
    widths = [max(len(name), *(len(line[n]) for line in cells)) for n, name in enumerate(columns)]
    starts = np.cumsum([0, *(width + 2 for width in widths)]) / (sum(widths) + 2 * len(widths))
    for n, line in enumerate([columns, *cells]):
        for start, text in zip(starts, line, strict=False):
            colour, y = _FAINT if n == 0 else _INK, 1 - (n + 0.6) / (_ROWS + 1)
            axes.text(start, y, text, size=6.5, color=colour, va="center", transform=axes.transAxes, family="monospace")


def _cell(name: str, value: Any) -> str:
    if name == "time":
        return f"{datetime.fromtimestamp(value / 1000, UTC):%H:%M:%S}"
    return f"{value:.4g}" if isinstance(value, float) else json.dumps(value, ensure_ascii=False)[:40].strip('"')


_OF_SERIES: Final[dict[str, Callable[[Axes, dict[str, Any], list[Series]], None]]] = {
    "stat": _stat,
    "timeseries": _lines,
    "heatmap": _heat,
    "state-timeline": _timeline,
}
_OF_ROWS: Final[dict[str, Callable[[Axes, dict[str, Any], list[dict[str, Any]]], None]]] = {
    "bargauge": _bars,
    "table": _table,
}
