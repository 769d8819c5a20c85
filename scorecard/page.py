"""The page for people who decide: a summary, the plots, the tables; one file that needs no network."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple

import plotly.graph_objects as go  # type: ignore[import-untyped]

from ml.evaluation.report import COLUMNS, detector_rows, one_customer_rows, ranked
from ml.html_page import rendered
from scorecard import plots
from scorecard.baselines import AmountAndHour, Chance, ForestWithoutLabels
from scorecard.combination import GAIN_COLUMNS, gain_rows, verdict
from scorecard.comparison import PROMISE_COLUMNS, promise_rows, world_rows
from scorecard.glossary import TERMS, kinds
from scorecard.pooled import Scorecard
from scorecard.words import (
    KIND_COLUMNS,
    SPECIAL_COLUMNS,
    THRESHOLD_COLUMNS,
    headline,
    in_short,
    kind_rows,
    special_rows,
    threshold_rows,
)
from scorecard.worlds import HANDBOOK, STANDARD

DRAWN: Final = 7
BASELINES: Final = (AmountAndHour.name, Chance.name)
_WORLDS: Final = {
    STANDARD: (
        "With what is known of merchants and categories",
        (
            "The same ordinary days, if detectors also see profiles, and in them what labels said of a merchant or a category. "
            f"{ForestWithoutLabels.name} sees profiles without what labels said."
        ),
    ),
    HANDBOOK: (
        "The Fraud Detection Handbook's world",
        (
            "Traffic as that book describes it (chapter 3), written from its text, and judged by its weeks: a week to fit, a "
            "week's delay, a week that judges; who is known as compromised is left out. Published: what the book reports of "
            "one draw of its world, without an alert budget."
        ),
    ),
}
_FOLDER: Final = Path(__file__).parent
_PRINTED_WIDTH: Final = 680
_INTERVAL: Final = re.compile(r"(.*) \[(.*), (.*)\](.*)")
_BRACKETS: Final = re.compile(r"(.*\d.*) \((.*)\)")


class Section(NamedTuple):
    """A plot with what there is to see in it."""

    title: str
    caption: str
    plot: str


class Cell(NamedTuple):
    """A cell of a table, and below it in small print its interval, or what its name means; "" where there is nothing."""

    text: str
    small: str = ""


class Table(NamedTuple):
    """A table with what it says."""

    title: str
    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]


def page(card: Scorecard) -> str:
    """The whole page as HTML."""
    return rendered(
        _FOLDER,
        printed_width=_PRINTED_WIDTH,
        judged=_judged(card),
        headline=headline(card),
        in_short=" ".join(in_short(card)),
        sections=_sections(card),
        tables=_tables(card),
        terms=TERMS,
    )


def _judged(card: Scorecard) -> str:
    _, judgement = card.best
    banks = f"{len(card.seeds)} simulated banks" if len(card.seeds) > 1 else "one simulated bank"
    over = "over the banks" if len(card.seeds) > 1 else "over the days"
    return (
        f"{judgement.transactions:,} payments of {banks} were judged, {judgement.frauds:,} of them fraud. No detector and no "
        f"threshold had seen any of them before. All intervals are {over}; plots with curves show the first bank."
    )


def _sections(card: Scorecard) -> list[Section]:
    judged = dict(list(ranked(card.standard).items())[:DRAWN])
    drawings = {name: card.drawings[name] for name in judged if name in card.drawings}
    detectors = {name: j for name, j in judged.items() if name not in BASELINES} or judged
    best, judgement = card.best
    sections = [
        _section(
            "Money saved against alerts",
            "How much of the stolen money is saved, if so many alerts a day are looked at. An alerted card is blocked, so that "
            "what its thief would have taken next is saved too.",
            plots.saved(drawings, judgement.budget),
        ),
        _section(
            "Kind by kind",
            f"Which fraud each detector sees; the lines are intervals of {best}. An own rule looks for one kind alone and may "
            "spend the whole alert budget on it, a detector looks for all kinds at once.",
            plots.scenarios(detectors, card.rules),
        ),
        _section(
            "How much fraud is found, and how often an alert is right",
            "Further up and to the right is better. Along a line the number of alerts grows; the dot is where the alert budget "
            "puts it.",
            plots.precision_recall(drawings),
        ),
        _section(
            "The price in honest payments",
            "Further up and to the left is better. Only the beginning is shown: no team can look at more alerts.",
            plots.roc(drawings),
        ),
        _section(
            "How the scores spread",
            "Grey: honest payments, red: frauds, each by their own number. The less they overlap, the better; what lies right "
            "of the dashed line is alerted.",
            plots.distributions({name: drawings[name] for name in detectors if name in drawings}),
        ),
    ]
    if best in card.days:
        sections.append(
            _section(
                "Alerts a day",
                f"By {best}, with the threshold as it was set before the judged days, and with thresholds that follow the "
                "scores. Grey: within a fifth of the budget. Dashed: customers begin to change their habits.",
                plots.days(card.days[best]),
            )
        )
    return sections


def _tables(card: Scorecard) -> list[Table]:
    best, _ = card.best
    return [
        _table(
            f"Each kind of fraud, by {best}",
            "Which attacks it catches, how soon, and what is lost by then; and whether its reasons name the right thing.",
            KIND_COLUMNS,
            kind_rows(card),
            kinds(),
        ),
        _table(
            "All detectors",
            "On ordinary days, by what each customer did before. Small print: intervals in which the figure lies "
            "with 95 % confidence.",
            ["detector", *COLUMNS],
            detector_rows(card.standard),
        ),
        _table(
            "Without the kinds that cross customers",
            "The same, if the frauds whose victims share a merchant or a category alone had not happened.",
            ["detector", *COLUMNS],
            one_customer_rows(card.standard),
        ),
        *(_table(*_WORLDS[world], ["detector", *COLUMNS], world_rows(card, world)) for world in card.worlds),
        *_combination(card),
        _table(
            "What is promised, and what is reached",
            "Figures that descriptions of such systems promise, and what the best detector of each world reaches: with its "
            "threshold, which was set before the judged days, and with the best one that the truth of these days would choose.",
            PROMISE_COLUMNS,
            promise_rows(card),
        ),
        _table(
            "Attack, drift and calm",
            "The same detectors, not fitted again: in an attack of ten minutes with 50 times the usual fraud, when customers "
            "change their habits (prices, channels, new countries), and on days without any fraud.",
            ["detector", *SPECIAL_COLUMNS],
            special_rows(card),
        ),
        _table(
            "Fixed and adaptive thresholds",
            "A fixed threshold stays as it was set before the judged days. An adaptive one follows the recent scores of its "
            "segment, channel and merchant category, so that the number of alerts keeps to the budget.",
            THRESHOLD_COLUMNS,
            threshold_rows(card),
        ),
    ]


def _combination(card: Scorecard) -> list[Table]:
    if not card.gains:
        return []
    caption = (
        f"{verdict(card.gains)} It should be at least as good everywhere, and better beyond chance somewhere. The "
        "difference is the mean over the same seeds; it is beyond chance where its interval is above 0."
    )
    title = "The combination beside the best single detector"
    return [_table(title, caption, GAIN_COLUMNS, gain_rows(card.gains))]


def _section(title: str, caption: str, figure: go.Figure) -> Section:
    drawn = figure.to_html(
        full_html=False, include_plotlyjs=False, config={"displayModeBar": False, "responsive": True}
    )
    return Section(title, caption, drawn)


def _table(
    title: str,
    caption: str,
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    explained: Mapping[str, str] = MappingProxyType({}),
) -> Table:
    return Table(title, caption, header, [[_cell(text, explained) for text in row] for row in rows])


def _cell(text: str, explained: Mapping[str, str]) -> Cell:
    interval = _INTERVAL.fullmatch(text)
    if interval:
        value, low, high, unit = interval.groups()
        return Cell(value + unit, f"{low} – {high}")
    brackets = _BRACKETS.fullmatch(text)
    return Cell(brackets[1], brackets[2]) if brackets else Cell(text, explained.get(text, ""))
