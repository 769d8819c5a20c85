"""The page for people who decide: what was found in words, the plots, the tables; one file that needs no network."""

from collections.abc import Sequence
from html import escape
from typing import Final

import plotly.graph_objects as go  # type: ignore[import-untyped]
from plotly.offline import get_plotlyjs  # type: ignore[import-untyped]

from ml.evaluation.report import COLUMNS, SCENARIO_COLUMNS, detector_rows, ranked, scenario_rows
from scorecard import plots
from scorecard.baselines import AmountAndHour, Chance
from scorecard.pooled import Scorecard
from scorecard.words import SPECIAL_COLUMNS, in_short, special_rows

DRAWN: Final = 7
BASELINES: Final = (AmountAndHour.name, Chance.name)
_STYLE: Final = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1f2933; max-width: 1080px; margin: 2em auto; padding: 0 1em; }
h1 { font-size: 1.9em; margin-bottom: 0.2em; } h2 { margin-top: 2em; } .short { font-size: 1.15em; }
table { border-collapse: collapse; font-size: 0.82em; } .wide { overflow-x: auto; }
th, td { padding: 0.35em 0.7em; border-bottom: 1px solid #e4e7eb; text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; } .note { color: #616e7c; }
"""


def page(card: Scorecard) -> str:
    """The whole page as HTML."""
    judged = dict(list(ranked(card.standard).items())[:DRAWN])
    drawings = {name: card.drawings[name] for name in judged if name in card.drawings}
    best, judgement = card.best
    detectors = {name: j for name, j in judged.items() if name not in BASELINES} or judged
    sections = [
        _section(
            "How much fraud is found, and how often an alert is right",
            "Up and to the right is better: each point is one possible number of alerts.",
            plots.precision_recall(drawings, judgement.prevalence),
        ),
        _section(
            "The price in honest payments",
            "Up and to the left is better; the whole plot is the first tenth, because nobody can afford more.",
            plots.roc(drawings),
        ),
        _section(
            "Money saved against alerts",
            "An alerted card is blocked, so that what its thief would have taken next is saved too.",
            plots.saved(drawings),
        ),
        _section("Kind by kind", "Which fraud each detector sees.", plots.scenarios(detectors)),
        _section(
            "How the scores spread",
            "The less the two colours overlap, the better; the scale is logarithmic, since fraud is rare.",
            plots.distributions({name: drawings[name] for name in detectors if name in drawings}),
        ),
    ]
    tables = [
        ("All detectors", ["detector", *COLUMNS], detector_rows(card.standard)),
        (f"Each kind of fraud, by {best}", list(SCENARIO_COLUMNS), scenario_rows(judgement)),
        ("Attack, drift and calm", ["detector", *SPECIAL_COLUMNS], special_rows(card)),
    ]
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Scoreline: the scorecard</title>'
        f"<style>{_STYLE}</style><script>{get_plotlyjs()}</script></head><body><h1>How well is fraud caught?</h1>"
        f'<p class="short">{escape(" ".join(in_short(card)))}</p>{"".join(sections)}'
        f"{''.join(_table(*table) for table in tables)}"
        f'<p class="note">{escape(_note(card))}</p></body></html>'
    )


def _note(card: Scorecard) -> str:
    _, judgement = card.best
    over = f"{len(card.seeds)} simulated banks" if len(card.seeds) > 1 else "the days"
    return (
        f"{judgement.transactions:,} payments judged, {judgement.frauds:,} of them fraud, none of which any detector or "
        f"threshold had seen. In brackets: 95 % intervals over {over}. The plots with curves are of the first bank."
    )


def _section(title: str, caption: str, figure: go.Figure) -> str:
    drawn = figure.to_html(full_html=False, include_plotlyjs=False, config={"displaylogo": False, "responsive": True})
    return f'<h2>{escape(title)}</h2><p class="note">{escape(caption)}</p>{drawn}'


def _table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<h2>{escape(title)}</h2><div class="wide"><table><tr>{head}</tr>{body}</table></div>'
