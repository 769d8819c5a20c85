"""The scorecard as sentences and as Markdown."""

from collections.abc import Sequence
from typing import Final

from ml.evaluation.estimates import Estimate
from ml.evaluation.report import (
    COLUMNS,
    SCENARIO_COLUMNS,
    cell,
    detector_rows,
    duration,
    one_customer_rows,
    ranked,
    scenario_rows,
)
from scorecard.combination import GAIN_COLUMNS, gain_rows, verdict
from scorecard.comparison import PROMISE_COLUMNS, promise_rows, world_rows
from scorecard.pooled import Scorecard
from scorecard.reasons import Named, by_lot

KIND_COLUMNS: Final = (*SCENARIO_COLUMNS, "own rule: recall", "reasons right: first / any")
SPECIAL_COLUMNS: Final = (
    "attack: wave caught",
    "first alert after",
    "drift: false alarms per 10,000 before",
    "after",
    "drift: recall before",
    "after",
    "calm: false alarms per 10,000",
)
THRESHOLD_COLUMNS: Final = (
    "detector",
    "thresholds",
    "days within 20 % of the budget",
    "the furthest day is off by",
    "drift: alerts",
    "drift: recall",
    "drift: false alarms per 10,000 at equal recall",
    "attack: wave caught",
)
_PER_10_000: Final = ("drift_false_fixed", "drift_false", "drift_false_before", "drift_false_after", "calm_false")


def in_short(card: Scorecard) -> tuple[str, str, str]:
    """What was found, in three sentences for a person who decides."""
    best, judgement = card.best
    figures, special = judgement.figures, card.special[best]
    saved = 1 - judgement.amount_lost / judgement.amount if judgement.amount else None
    found = (
        f"Of every 10,000 payments {10_000 * judgement.prevalence:.0f} are fraud, and {10_000 * judgement.budget:.0f} may be "
        f"alerted: the best detector, {best}, then catches {_percent(figures['recall'].value)} of the frauds "
        f"(no detector can catch more than {_percent(judgement.ceilings['recall'])} within that budget)."
    )
    price = (
        f"{_percent(figures['precision'].value)} of its alerts are right, it disturbs "
        f"{_of_10_000(figures['false_positive_rate'])} of 10,000 honest payments, and it saves {_percent(saved)} of the money."
    )
    elsewhere = (
        f"In a massive attack it catches {_percent(special['wave_caught'].value)} of the wave; when customers change their "
        f"habits, false alarms go from {_of_10_000(special['drift_false_before'])} to "
        f"{_of_10_000(special['drift_false_after'])} in 10,000 honest payments, and in days without any fraud there are "
        f"{_of_10_000(special['calm_false'])} in 10,000."
    )
    return found, price, elsewhere


def headline(card: Scorecard) -> list[tuple[str, str]]:
    """The figures of the best detector that matter most, each with what it is."""
    best, judgement = card.best
    figures = judgement.figures
    saved = 1 - judgement.amount_lost / judgement.amount if judgement.amount else None
    return [
        (_percent(figures["recall"].value), f"of the frauds are caught by the best detector, {best}"),
        (_percent(figures["precision"].value), "of its alerts are right"),
        (_of_10_000(figures["false_positive_rate"]), "of 10,000 honest payments are disturbed"),
        (_percent(saved), "of the stolen money is saved"),
    ]


def kind_rows(card: Scorecard) -> list[list[str]]:
    """A row for each scenario, by the best detector, in the order of KIND_COLUMNS."""
    best, judgement = card.best
    reasons = card.reasons.get(best, {})
    return [
        [*row, cell("recall", card.rules[row[0]]) if row[0] in card.rules else "–", _right(row[0], reasons.get(row[0]))]
        for row in scenario_rows(judgement)
    ]


def _right(scenario: str, named: Named | None) -> str:
    """The shares of alerts whose first reason, and any reason, is right; in brackets what chance gives."""
    if named is None:
        return "–"
    first, any_of_them = by_lot(scenario)
    return (
        f"{_percent(named.first / named.alerts)} / {_percent(named.any / named.alerts)} "
        f"(by lot {_percent(first)} / {_percent(any_of_them)})"
    )


def _percent(share: float | None) -> str:
    return "an unknown share" if share is None else f"{share:.0%}".replace("%", " %")


def _of_10_000(share: Estimate) -> str:
    return "an unknown number" if share.value is None else f"{10_000 * share.value:.1f}"


def special_rows(card: Scorecard) -> list[list[str]]:
    """A row for each detector, the best average precision first, in the order of SPECIAL_COLUMNS."""
    return [
        [name, *(_special_cell(field, estimate) for field, estimate in card.special[name].items())]
        for name in ranked(card.standard)
    ]


def _special_cell(field: str, estimate: Estimate) -> str:
    if field == "wave_seconds":
        return duration(estimate.value)
    if estimate.value is None:
        return "–"
    scale, form = (10_000, ".1f") if field in _PER_10_000 else (1, ".3f")
    value = format(scale * estimate.value, form)
    if estimate.low is None or estimate.high is None:
        return value
    return f"{value} [{scale * estimate.low:{form}}, {scale * estimate.high:{form}}]"


def threshold_rows(card: Scorecard) -> list[list[str]]:
    """Two rows for each detector, with the fixed and with adaptive thresholds, in the order of THRESHOLD_COLUMNS."""
    rows = []
    for name in ranked(card.standard):
        for kind, suffix in (("fixed", "_fixed"), ("adaptive", "")) if name in card.thresholds else ():
            found = card.thresholds[name]
            rows.append(
                [
                    name,
                    kind,
                    _special_cell("days_within", found[f"days_within{suffix}"]),
                    _special_cell("furthest_day", found[f"furthest_day{suffix}"]),
                    cell("alert_share", found[f"drift_alerts{suffix}"]),
                    _special_cell("drift_recall", found[f"drift_recall{suffix}"]),
                    _special_cell("drift_false", found[f"drift_false{suffix}"]),
                    _special_cell("wave_caught", found[f"wave_caught{suffix}"]),
                ]
            )
    return rows


def markdown(card: Scorecard) -> str:
    """The tables as Markdown, to be copied into a document."""
    best, _ = card.best
    return "\n\n".join(
        [
            " ".join(in_short(card)),
            _table(["detector", *COLUMNS], detector_rows(card.standard)),
            "Without the kinds of fraud that cross customers:",
            _table(["detector", *COLUMNS], one_customer_rows(card.standard)),
            *_worlds(card),
            *([verdict(card.gains), _table(GAIN_COLUMNS, gain_rows(card.gains))] if card.gains else []),
            "What descriptions of such systems promise, and what is reached:",
            _table(PROMISE_COLUMNS, promise_rows(card)),
            f"Scenarios, by {best}:",
            _table(KIND_COLUMNS, kind_rows(card)),
            _table(["detector", *SPECIAL_COLUMNS], special_rows(card)),
            _table(THRESHOLD_COLUMNS, threshold_rows(card)),
        ]
    )


def _worlds(card: Scorecard) -> list[str]:
    tables = [
        [f"In the world {world}, with profiles:", _table(["detector", *COLUMNS], world_rows(card, world))]
        for world in card.worlds
    ]
    return [text for table in tables for text in table]


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
