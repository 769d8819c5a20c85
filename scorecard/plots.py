"""The plots of the page, by Plotly."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import plotly.graph_objects as go  # type: ignore[import-untyped]
from plotly.subplots import make_subplots  # type: ignore[import-untyped]

from generator.runs import RunName
from ml.evaluation.estimates import Estimate
from ml.evaluation.judgement import Judgement
from ml.scorers.probability import log_odds
from scorecard.adaptive import TOLERANCE, Days
from scorecard.drawing import LEAST_SCORE, MOST_HONEST, Drawing

COLOURS: Final = ("#1b6ca8", "#d1495b", "#2e8b57", "#edae49", "#7b4ea3", "#17a2a2", "#6c757d", "#b0b0b0")
HONEST: Final = "#9aa5b1"
RULE: Final = "#1f2933"
_ALERTS_SHOWN: Final = [n * 10**k for k in range(-1, 6) for n in (1, 2, 5)]
_SCORES_SHOWN: Final = (LEAST_SCORE, 0.001, 0.01, 0.1, 0.4, 0.5, 0.6, 0.7, 0.9, 0.99)
_APART: Final = 0.13  # of the distance between two kinds, so that equal dots do not hide each other


def precision_recall(drawings: Mapping[str, Drawing]) -> go.Figure:
    """Precision against recall, a line for each detector; a dot is where its threshold puts it."""
    figure = _lines({name: (drawing.recall, drawing.precision) for name, drawing in drawings.items()})
    for (name, drawing), colour in zip(drawings.items(), COLOURS, strict=False):
        recall, precision = drawing.at_threshold
        dot = {"color": colour, "size": 10, "line": {"color": "white", "width": 1.5}}
        figure.add_scatter(x=[recall], y=[precision], name=name, mode="markers", marker=dot, showlegend=False)
    figure.update_xaxes(range=[-0.01, 1.01])
    return _shares(_titled(figure, "Frauds that are alerted (recall)", "Alerts that are fraud (precision)"))


def roc(drawings: Mapping[str, Drawing]) -> go.Figure:
    """The beginning of the receiver operating characteristic, where an alert budget lies."""
    figure = _lines({name: (d.false_positive_rate, d.true_positive_rate) for name, d in drawings.items()})
    figure.update_xaxes(range=[0, MOST_HONEST])
    return _shares(_titled(figure, "Honest payments that are alerted", "Frauds that are alerted"))


def saved(drawings: Mapping[str, Drawing], budget: float) -> go.Figure:
    """The share of the frauds' amount that is saved, against how many alerts are looked at in a day."""
    figure = _lines({name: (drawing.alerts_a_day, drawing.amount_saved) for name, drawing in drawings.items()})
    drawing = next(iter(drawings.values()))
    at_budget = [budget * drawing.transactions_a_day] * 2
    line = {"color": RULE, "width": 1.5, "dash": "dash"}
    figure.add_scatter(x=at_budget, y=[0, 1.02], name="the alert budget", mode="lines", line=line)
    shown = [n for n in _ALERTS_SHOWN if drawing.alerts_a_day[0] <= n <= drawing.alerts_a_day[-1]]
    ends = np.log10([drawing.alerts_a_day[0], drawing.alerts_a_day[-1]]).tolist()
    figure.update_xaxes(type="log", range=ends, tickvals=shown, ticktext=[f"{n:,g}" for n in shown])
    figure.update_yaxes(tickformat=".0%", range=[0, 1.02])
    return _titled(figure, "Alerts a day", "Stolen money that is saved")


def distributions(drawings: Mapping[str, Drawing]) -> go.Figure:
    """How the scores of frauds and of honest payments spread, a panel for each detector, with its threshold."""
    figure = make_subplots(rows=len(drawings), cols=1, subplot_titles=list(drawings), vertical_spacing=0.07)
    for row, drawing in enumerate(drawings.values(), 1):
        edges = log_odds(np.array(drawing.bins))
        middles = ((edges[:-1] + edges[1:]) / 2).tolist()
        for name, shares, colour in (("honest", drawing.honest, HONEST), ("fraud", drawing.frauds, COLOURS[1])):
            line = {"color": colour, "shape": "hvh", "width": 1.5}
            area = go.Scatter(x=middles, y=shares, name=name, line=line, fill="tozeroy", showlegend=row == 1)
            figure.add_trace(area, row=row, col=1)
        (threshold,) = log_odds(np.array([drawing.threshold]))
        figure.add_vline(threshold, line_dash="dash", line_color=RULE, row=row, col=1)
    figure.update_yaxes(showticklabels=False, rangemode="tozero")
    shown = log_odds(np.array(_SCORES_SHOWN)).tolist()
    figure.update_xaxes(tickvals=shown, ticktext=[f"{score:g}" for score in _SCORES_SHOWN])
    figure.update_xaxes(title_text="Anomaly score (dashed: the threshold)", row=len(drawings), col=1)
    return _styled(figure, 140 * len(drawings) + 110)


def scenarios(judgements: Mapping[str, Judgement], rules: Mapping[str, Estimate]) -> go.Figure:
    """The recall of each scenario: a dot for each detector, the first one's with its interval; a tick for the own rule."""
    figure = go.Figure()
    kinds = {scenario: place for place, scenario in enumerate(rules)}
    for number, ((name, judgement), colour) in enumerate(zip(judgements.items(), COLOURS, strict=False)):
        recalls = {scenario: result.recall for scenario, result in judgement.scenarios.items()}
        figure.add_scatter(
            x=[recall.value for recall in recalls.values()],
            y=[kinds[scenario] + _APART * (number - (len(judgements) - 1) / 2) for scenario in recalls],
            name=name,
            mode="markers",
            marker={"color": colour, "size": 9},
            error_x=_interval(recalls, colour) if number == 0 else None,
        )
    tick = {"symbol": "line-ns-open", "size": 26, "color": RULE, "line": {"width": 2}}
    known = [rule.value for rule in rules.values()]
    figure.add_scatter(x=known, y=list(kinds.values()), name="own rule", mode="markers", marker=tick)
    spoken = [kind.replace("_", " ") for kind in kinds]
    figure.update_yaxes(autorange="reversed", tickvals=list(kinds.values()), ticktext=spoken, zeroline=False)
    figure.update_xaxes(range=[-0.02, 1.02], tickformat=".0%")
    return _titled(figure, "Transactions of this kind that are alerted (recall)", None, 48 * len(rules) + 130)


def days(runs: Mapping[RunName, Days]) -> go.Figure:
    """The alerts of each day against the budget, with the fixed threshold and with adaptive ones; a panel for each run."""
    figure = make_subplots(rows=1, cols=len(runs), subplot_titles=[f"{run} run" for run in runs], shared_yaxes=True)
    for col, of_run in enumerate(runs.values(), 1):
        for name, alerts, colour in (("fixed", of_run.fixed, COLOURS[1]), ("adaptive", of_run.adaptive, COLOURS[0])):
            x = list(range(1, len(alerts) + 1))
            line = {"color": colour, "width": 2}
            drawn = go.Scatter(x=x, y=alerts, name=name, mode="lines+markers", line=line, showlegend=col == 1)
            figure.add_trace(drawn, row=1, col=col)
        # After the lines: Plotly leaves out what is to be added to a panel that is still empty.
        figure.add_hrect(1 - TOLERANCE, 1 + TOLERANCE, fillcolor=HONEST, opacity=0.25, line_width=0, row=1, col=col)
        figure.add_hline(1, line_color=RULE, line_width=1, row=1, col=col)
        if of_run.since is not None:
            figure.add_vline(of_run.since + 0.5, line_dash="dash", line_color=RULE, row=1, col=col)
    figure.update_xaxes(title_text="Day", dtick=2)
    figure.update_yaxes(title_text="Alerts, as a share of the budget", tickformat=".0%", rangemode="tozero", col=1)
    return _styled(figure, 380)


def _interval(recalls: Mapping[str, Estimate], colour: str) -> dict[str, object]:
    known = [(r.value or 0.0, r.low, r.high) for r in recalls.values()]
    return {
        "type": "data",
        "array": [0.0 if high is None else high - value for value, _, high in known],
        "arrayminus": [0.0 if low is None else value - low for value, low, _ in known],
        "color": colour,
        "thickness": 1.5,
    }


def _lines(curves: Mapping[str, tuple[Sequence[float], Sequence[float]]]) -> go.Figure:
    figure = go.Figure()
    for (name, (x, y)), colour in zip(curves.items(), COLOURS, strict=False):
        figure.add_scatter(x=x, y=y, name=name, mode="lines", line={"color": colour, "width": 2})
    return figure


def _shares(figure: go.Figure) -> go.Figure:
    return figure.update_xaxes(tickformat=".0%").update_yaxes(tickformat=".0%", range=[0, 1.02])


def _titled(figure: go.Figure, x: str, y: str | None, height: int = 430) -> go.Figure:
    return _styled(figure.update_layout(xaxis_title=x, yaxis_title=y), height)


def _styled(figure: go.Figure, height: int) -> go.Figure:
    legend = {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"}
    return figure.update_layout(
        template="plotly_white", height=height, margin={"t": 30, "r": 10, "l": 10, "b": 40}, legend=legend
    ).update_yaxes(automargin=True)
