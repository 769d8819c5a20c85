"""A protocol's outcomes as a person reads them, beside what others have published, and as one JSON object."""

from typing import Any, Final

import msgspec

from ml.evaluation.protocol import FIGURES, Outcome, Outcomes
from ml.evaluation.published import HANDBOOK, Published
from ml.evaluation.report import cell

COLUMNS: Final = ("detector", "AUC", "average precision", "Card Precision@100")
UNKNOWN: Final = "–"


def rows(outcomes: Outcomes) -> list[list[str]]:
    """A row for each detector, in the order of COLUMNS, the best average precision first; under each what was published."""
    found = [*_ranked(outcomes), *(name for name, why in outcomes.detectors.items() if isinstance(why, str))]
    table: list[list[str]] = []
    for name in found:
        table.append(_row(name, outcomes.detectors[name]))
        table += [_published_row(other, what) for other, what in HANDBOOK.items() if other.split(",")[0] == name]
    table.append(["(perfect)", "1.000", "1.000", f"{outcomes.card_precision_ceiling:.3f}"])
    return table


def scenario_rows(outcomes: Outcomes) -> list[list[str]]:
    """A row for each detector: its name, then the AUC of the frauds of each scenario, in the order of `scenario_names`."""
    return [
        [name, *(cell("auc", outcome.scenarios[scenario]) for scenario in scenario_names(outcomes))]
        for name, outcome in _ranked(outcomes).items()
    ]


def scenario_names(outcomes: Outcomes) -> list[str]:
    """The scenarios that the test has frauds of."""
    return list({name: None for outcome in _ranked(outcomes).values() for name in outcome.scenarios})


def summary(outcomes: Outcomes) -> str:
    """What was fitted to and what judged, in one line."""
    return (
        f"fitted to {outcomes.fit_transactions:,} transactions with {outcomes.fit_frauds:,} known frauds; judged on "
        f"{outcomes.transactions:,} with {outcomes.frauds:,} frauds, {outcomes.left_out:,} of known customers left out; "
        f"mean of {len(outcomes.seeds)} seeds of each detector"
    )


def last_line(outcomes: Outcomes) -> dict[str, Any]:
    """Each detector's figures, by the last quarter's form (`ml.evaluation.report.last_line`), and the protocol's name."""
    ranked = _ranked(outcomes)
    figures: dict[str, Any] = {
        name: {field: outcome.figures[field].value for field in FIGURES} for name, outcome in ranked.items()
    }
    scenarios = {
        scenario: {"auc": estimate.value, "detector": name}
        for name, outcome in list(ranked.items())[:1]
        for scenario, estimate in outcome.scenarios.items()
    }
    return {
        **figures,
        "scenarios": scenarios,
        "protocol": outcomes.protocol.name,
        "terms": msgspec.to_builtins(outcomes.protocol),
        "seeds": len(outcomes.seeds),
        "transactions": outcomes.transactions,
        "frauds": outcomes.frauds,
        "published": msgspec.to_builtins(HANDBOOK),
    }


def _ranked(outcomes: Outcomes) -> dict[str, Outcome]:
    judged = {name: outcome for name, outcome in outcomes.detectors.items() if isinstance(outcome, Outcome)}
    return dict(sorted(judged.items(), key=lambda pair: -(pair[1].figures["average_precision"].value or 0.0)))


def _row(name: str, outcome: Outcome | str) -> list[str]:
    if isinstance(outcome, str):
        return [name, outcome, "", ""]
    return [name, *(cell(field, outcome.figures[field]) for field in FIGURES)]


def _published_row(name: str, published: Published) -> list[str]:
    return [
        f"  published: {name}",
        _range(published.auc),
        _range(published.average_precision),
        UNKNOWN,
    ]


def _range(ends: tuple[float, float]) -> str:
    return f"{ends[0]:.3f}" if ends[0] == ends[1] else f"{ends[0]:.3f}–{ends[1]:.3f}"
