"""What others say of such detectors beside what is reached: published figures of a world, and promises without data."""

from typing import Final

from ml.evaluation.estimates import Estimate
from ml.evaluation.published import HANDBOOK, Published
from ml.evaluation.report import COLUMNS, cell, detector_rows, ranked
from scorecard.pooled import Scorecard

PUBLISHED: Final = {"handbook": HANDBOOK}
"""By world and detector."""

PROMISE_COLUMNS: Final = (
    "what is promised",
    "data",
    "detector",
    "at the alert budget",
    "the best that hindsight finds",
)
_PROMISES: Final = (
    ("precision above 95 %", ("precision", "recall"), "recall_at_precision_95", "at a precision of 95 %"),
    (
        "recall of at least 92 % at a precision of at least 78 %",
        ("recall", "precision"),
        "recall_at_precision_78",
        "at a precision of 78 %",
    ),
    ("false positives below 2 %", ("false_positive_rate",), "recall_at_2_percent_false", "at 2 % of false positives"),
)
_NAMES: Final = {"precision": "precision", "recall": "recall", "false_positive_rate": "false positives"}


def world_rows(card: Scorecard, world: str) -> list[list[str]]:
    """The rows of a world's detectors, with the ceilings; under each what was published of it there."""
    rows: list[list[str]] = []
    for row in detector_rows(card.worlds[world]):
        rows.append(row)
        others = PUBLISHED.get(world, {})
        rows += [_published(name, figures) for name, figures in others.items() if name.split(",")[0] == row[0]]
    return rows


def _published(name: str, figures: Published) -> list[str]:
    auc, average_precision = (
        f"{low:.3f}" if low == high else f"{low:.3f}–{high:.3f}"
        for low, high in (figures.auc, figures.average_precision)
    )
    return [f"published: {name}", auc, average_precision, *["–"] * (len(COLUMNS) - 2)]


def promise_rows(card: Scorecard) -> list[list[str]]:
    """What such systems are said to reach, and what the best detector of each world does, in the order of PROMISE_COLUMNS."""
    best = {world: next(iter(ranked(results).items())) for world, results in card.worlds.items() if ranked(results)}
    rows: list[list[str]] = []
    for promise, at_budget, in_hindsight, hint in _PROMISES:
        rows += [
            [
                promise,
                world,
                name,
                ", ".join(
                    f"{_NAMES[field]} {cell(field, Estimate(judged.figures[field].value))}" for field in at_budget
                ),
                f"recall {cell('recall', Estimate(judged.figures[in_hindsight].value))} {hint}",
            ]
            for world, (name, judged) in best.items()
        ]
    name, _ = card.best
    caught = Estimate(card.special[name]["wave_caught"].value)
    rows.append(["most of a massive attack", "attack", name, f"recall of the wave {cell('recall', caught)}", "–"])
    return rows
