"""The scorecard in words and in Markdown."""

from collections.abc import Sequence
from typing import Final

from ml.evaluation.estimates import Estimate
from ml.evaluation.report import COLUMNS, SCENARIO_COLUMNS, detector_rows, duration, ranked, scenario_rows
from scorecard.pooled import Scorecard

SPECIAL_COLUMNS: Final = (
    "attack: wave caught",
    "first alert after",
    "drift: false alarms per 10,000 before",
    "after",
    "drift: recall before",
    "after",
    "calm: false alarms per 10,000",
)
_PER_10_000: Final = ("drift_false_before", "drift_false_after", "calm_false")


def in_short(card: Scorecard) -> tuple[str, str, str]:
    """What was found, in three sentences for somebody who decides."""
    best, judgement = card.best
    figures, special = judgement.figures, card.special[best]
    saved = 1 - judgement.amount_lost / judgement.amount if judgement.amount else None
    found = (
        f"Of every 10,000 payments {10_000 * judgement.prevalence:.0f} are fraud, and {10_000 * judgement.budget:.0f} may be "
        f"alerted: the best detector, {best}, then catches {_percent(figures['recall'].value)} of the frauds "
        f"(no detector can catch more than {_percent(judgement.ceilings['recall'])} within that budget)."
    )
    price = (
        f"{_percent(figures['precision'].value)} of its alerts are right, it troubles "
        f"{_of_10_000(figures['false_positive_rate'])} of 10,000 honest payments, and it saves {_percent(saved)} of the money."
    )
    elsewhere = (
        f"In a massive attack it catches {_percent(special['wave_caught'].value)} of the wave; when customers change their "
        f"ways, false alarms go from {_of_10_000(special['drift_false_before'])} to "
        f"{_of_10_000(special['drift_false_after'])} in 10,000 honest payments, and in days without any fraud there are "
        f"{_of_10_000(special['calm_false'])} in 10,000."
    )
    return found, price, elsewhere


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


def markdown(card: Scorecard) -> str:
    """The tables, as a README or a closing note holds them."""
    best, judgement = card.best
    return "\n\n".join(
        [
            " ".join(in_short(card)),
            _table(["detector", *COLUMNS], detector_rows(card.standard)),
            f"Scenarios, by {best}:",
            _table(SCENARIO_COLUMNS, scenario_rows(judgement)),
            _table(["detector", *SPECIAL_COLUMNS], special_rows(card)),
        ]
    )


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
