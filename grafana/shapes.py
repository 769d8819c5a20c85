"""The shapes in which panels are drawn: one figure, lines, bars, a table, a heat map."""

from typing import Any, Final

from grafana.building import Drawn, Overrides, Steps
from grafana.questions import Question

_LEGEND: Final = {"showLegend": True, "displayMode": "list", "placement": "bottom", "calcs": []}


def fixed(color: str, **more: Any) -> dict[str, Any]:
    """Properties of a series in one colour."""
    return {"color": {"mode": "fixed", "fixedColor": color}} | {f"custom.{name}": value for name, value in more.items()}


def stat(
    title: str, description: str, question: Question, unit: str = "short", *, calc: str = "lastNotNull", **more: Any
) -> Drawn:
    """One figure, with a small line behind it where `graph` is true."""
    graph, fields = more.pop("graph", False), more.pop("fields", "")
    options = {
        "reduceOptions": {"calcs": [calc], "fields": fields, "values": False},
        "orientation": "auto",
        "textMode": "value",
        "colorMode": more.pop("color_mode", "value"),
        "graphMode": "area" if graph else "none",
        "justifyMode": "auto",
        "wideLayout": True,
        "showPercentChange": False,
    }
    settings: dict[str, Any] = {"width": 3, "interval": "15s" if graph else None} | more
    return Drawn("stat", title, description, (question,), unit, options=options, **settings)


def lines(
    title: str,
    description: str,
    questions: tuple[Question, ...],
    unit: str = "short",
    *,
    bars: bool = False,
    **more: Any,
) -> Drawn:
    """Lines over time, or bars; dashed lines at the thresholds."""
    steps: Steps = more.get("steps", ())
    custom = {
        "drawStyle": "bars" if bars else "line",
        "lineInterpolation": "linear",
        "lineWidth": 0 if bars else 2,
        "fillOpacity": 60 if bars else more.pop("fill", 8),
        "gradientMode": "none",
        "showPoints": more.pop("points", "never"),
        "spanNulls": 60_000,
        "axisSoftMin": 0,
        "thresholdsStyle": {"mode": "dashed" if steps else "off"},
        "stacking": {"mode": "normal" if more.pop("stacked", False) else "none", "group": "A"},
    }
    options = {"legend": _LEGEND, "tooltip": {"mode": "multi", "sort": "desc"}}
    settings: dict[str, Any] = {"first": "transparent" if steps else "green"} | more
    color = {"mode": "palette-classic"}
    return Drawn(
        "timeseries", title, description, questions, unit, options=options, custom=custom, color=color, **settings
    )


def timeline(title: str, description: str, questions: tuple[Question, ...], unit: str, **more: Any) -> Drawn:
    """What was so from when until when."""
    options = {
        "mergeValues": True,
        "showValue": "always",
        "alignValue": "center",
        "rowHeight": 0.6,
        "legend": {"showLegend": False, "displayMode": "list", "placement": "bottom"},
        "tooltip": {"mode": "single", "sort": "none"},
    }
    custom = {"fillOpacity": 60, "lineWidth": 1, "spanNulls": 60_000}
    settings: dict[str, Any] = {"color": {"mode": "fixed", "fixedColor": "blue"}, "first": "blue", "least": None} | more
    return Drawn("state-timeline", title, description, questions, unit, options=options, custom=custom, **settings)


def most_first(
    title: str, description: str, question: Question, column: str, unit: str = "short", **more: Any
) -> Drawn:
    """A bar for each row of a table's answer, the longest first, 15 at most."""
    options = {
        "orientation": "horizontal",
        "displayMode": "basic",
        "valueMode": "color",
        "showUnfilled": False,
        "namePlacement": "left",
        "sizing": "auto",
        "minVizHeight": 16,
        "maxVizHeight": 24,
        "minVizWidth": 8,
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": f"/^{column}$/", "values": True, "limit": 15},
        "legend": {"showLegend": False, "displayMode": "list", "placement": "bottom", "calcs": []},
    }
    transformations = (
        ("organize", {"excludeByName": {"Time": True}}),
        ("sortBy", {"sort": [{"field": column, "desc": True}]}),
    )
    settings: dict[str, Any] = {"color": {"mode": "fixed", "fixedColor": "orange"}, "first": "orange", "interval": None}
    return Drawn(
        "bargauge",
        title,
        description,
        (question,),
        unit,
        options=options,
        transformations=transformations,
        **settings | more,
    )


def table(
    title: str, description: str, question: Question, overrides: Overrides, sort: str, *, desc: bool = True, **more: Any
) -> Drawn:
    """Rows, sorted by a column."""
    custom = {"align": "auto", "cellOptions": {"type": "auto"}, "inspect": True, "filterable": False}
    options = {
        "showHeader": True,
        "cellHeight": "sm",
        "frameIndex": 0,
        "sortBy": [{"displayName": sort, "desc": desc}],
    }
    settings: dict[str, Any] = {"width": 24, "interval": None, "least": None, "decimals": None} | more
    return Drawn(
        "table", title, description, (question,), options=options, custom=custom, overrides=overrides, **settings
    )


def heat_map(title: str, description: str, question: Question, **more: Any) -> Drawn:
    """How many are in each bin over time: a series is a bin, named by its lower bound."""
    options = {
        "calculate": False,
        "rowsFrame": {"layout": "ge"},
        "color": {
            "mode": "scheme",
            "scheme": "Blues",
            "scale": "exponential",
            "exponent": 0.5,
            "steps": 64,
            "reverse": False,
            "fill": "blue",
        },
        "cellGap": 1,
        "cellValues": {"unit": "short", "decimals": 0},
        "filterValues": {"le": 1e-9},
        "yAxis": {"axisPlacement": "left", "unit": "none", "decimals": 2, "reverse": False},
        "showValue": "never",
        "legend": {"show": True},
        "tooltip": {"mode": "single", "yHistogram": True, "showColorScale": True},
        "exemplars": {"color": "rgba(255,0,255,0.7)"},
    }
    custom = {"scaleDistribution": {"type": "linear"}}
    return Drawn(
        "heatmap", title, description, (question,), "short", options=options, custom=custom, least=None, **more
    )
