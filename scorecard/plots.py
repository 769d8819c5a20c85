"""The plots of the page, by Plotly."""

from collections.abc import Mapping, Sequence
from typing import Final

import plotly.graph_objects as go  # type: ignore[import-untyped]
from plotly.subplots import make_subplots  # type: ignore[import-untyped]

from ml.evaluation.judgement import Judgement
from scorecard.drawing import Drawing

COLOURS: Final = ("#1b6ca8", "#d1495b", "#2e8b57", "#edae49", "#7b4ea3", "#6c757d", "#b0b0b0")
HONEST: Final = "#9aa5b1"


def precision_recall(drawings: Mapping[str, Drawing], prevalence: float) -> go.Figure:
    """Precision against recall, a line for each detector; chance is the prevalence."""
    figure = _lines({name: (drawing.recall, drawing.precision) for name, drawing in drawings.items()})
    figure.add_hline(prevalence, line_dash="dot", annotation_text="chance")
    return _labelled(
        figure, "Share of the frauds that are alerted (recall)", "Share of the alerts that are fraud (precision)"
    )


def roc(drawings: Mapping[str, Drawing]) -> go.Figure:
    """The receiver operating characteristic; its first tenth is where an alert budget lies."""
    figure = _lines({name: (d.false_positive_rate, d.true_positive_rate) for name, d in drawings.items()})
    figure.update_xaxes(range=[0, 0.1])
    return _labelled(figure, "Share of the honest payments that are alerted", "Share of the frauds that are alerted")


def saved(drawings: Mapping[str, Drawing]) -> go.Figure:
    """The share of the frauds' amount that is saved, against how many alerts somebody looks at in a day."""
    figure = _lines({name: (drawing.alerts_a_day, drawing.amount_saved) for name, drawing in drawings.items()})
    figure.update_xaxes(type="log")
    return _labelled(figure, "Alerts a day", "Share of the stolen amount that is saved")


def distributions(drawings: Mapping[str, Drawing]) -> go.Figure:
    """How the scores of frauds and of honest payments spread, a panel for each detector, with its threshold."""
    figure = make_subplots(rows=len(drawings), cols=1, subplot_titles=list(drawings), vertical_spacing=0.06)
    for row, drawing in enumerate(drawings.values(), 1):
        middles = [(low + high) / 2 for low, high in zip(drawing.bins, drawing.bins[1:], strict=False)]
        for name, shares, colour in (("honest", drawing.honest, HONEST), ("fraud", drawing.frauds, COLOURS[1])):
            bars = go.Bar(x=middles, y=shares, name=name, marker_color=colour, opacity=0.7, showlegend=row == 1)
            figure.add_trace(bars, row=row, col=1)
        figure.add_vline(drawing.threshold, line_dash="dash", row=row, col=1)
    figure.update_yaxes(type="log", title_text="share")
    figure.update_xaxes(title_text="anomaly score (dashed: the threshold)", row=len(drawings), col=1)
    return figure.update_layout(barmode="overlay", height=190 * len(drawings) + 120, template="plotly_white")


def scenarios(judgements: Mapping[str, Judgement]) -> go.Figure:
    """The recall of each scenario, a bar for each detector, with its interval."""
    figure = go.Figure()
    for (name, judgement), colour in zip(judgements.items(), COLOURS, strict=False):
        recalls = [result.recall for result in judgement.scenarios.values()]
        values = [recall.value or 0.0 for recall in recalls]
        known = [(r, v) if r.low is not None else (None, v) for r, v in zip(recalls, values, strict=True)]
        figure.add_bar(
            x=[scenario.replace("_", " ") for scenario in judgement.scenarios],
            y=values,
            name=name,
            marker_color=colour,
            error_y={
                "type": "data",
                "array": [0.0 if r is None or r.high is None else r.high - v for r, v in known],
                "arrayminus": [0.0 if r is None or r.low is None else v - r.low for r, v in known],
            },
        )
    return _labelled(
        figure.update_layout(barmode="group"), "Kind of fraud", "Share of its transactions that are alerted"
    )


def _lines(curves: Mapping[str, tuple[Sequence[float], Sequence[float]]]) -> go.Figure:
    figure = go.Figure()
    for (name, (x, y)), colour in zip(curves.items(), COLOURS, strict=False):
        figure.add_scatter(x=x, y=y, name=name, mode="lines", line={"color": colour, "width": 2})
    return figure


def _labelled(figure: go.Figure, x: str, y: str) -> go.Figure:
    figure.update_layout(template="plotly_white", height=430, margin={"t": 30}, xaxis_title=x, yaxis_title=y)
    return figure.update_yaxes(range=[0, 1.02])
