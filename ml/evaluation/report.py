"""Judgements as a person reads them, in a table's cells, and as a program does, in one JSON object."""

from collections.abc import Mapping
from typing import Any, Final

from ml.evaluation.estimates import Estimate
from ml.evaluation.judgement import Judgement

Results = Mapping[str, Judgement | str]
"""By detector: its judgement, or why there is none."""

COLUMNS: Final = {
    "AUC": "auc",
    "average precision": "average_precision",
    "Card Precision@100": "card_precision_at_100",
    "precision": "precision",
    "recall": "recall",
    "false-positive rate": "false_positive_rate",
    "F1": "f1",
    "alerts": "alert_share",
    "declines: precision": "decline_precision",
    "declines: recall": "decline_recall",
}
SCENARIO_COLUMNS: Final = (
    "scenario",
    "frauds",
    "recall",
    "attacks caught",
    "transactions until caught",
    "time until caught",
    "lost before",
    "amount saved",
)
CEILING: Final = "(perfect, at the budget)"
_SHARES: Final = {"false_positive_rate": 3, "alert_share": 2}  # decimals of those that are given in per cent
_DECLINE_CEILINGS: Final = {"decline_precision": 1.0, "decline_recall": 1.0}
_LAST_LINE: Final = (*tuple(COLUMNS.values())[:6], "decline_precision", "decline_recall")


def detector_rows(results: Results) -> list[list[str]]:
    """A row for each detector, the best average precision first, and one of the ceilings that the budget sets."""
    judged = ranked(results)
    rows = [[name, *(cell(field, j.figures[field]) for field in COLUMNS.values())] for name, j in judged.items()]
    rows += [[name, why, *[""] * (len(COLUMNS) - 1)] for name, why in results.items() if isinstance(why, str)]
    for judgement in list(judged.values())[:1]:
        ceilings = {**judgement.ceilings, "alert_share": judgement.budget, **_DECLINE_CEILINGS}
        rows.append([CEILING, *(cell(field, Estimate(ceilings[field])) for field in COLUMNS.values())])
    return rows


def one_customer_rows(results: Results) -> list[list[str]]:
    """The rows without the kinds of fraud that cross customers, and without the ceilings; none where there are no such."""
    return [
        [name, *(cell(field, j.of_one_customer[field]) for field in COLUMNS.values())]
        for name, j in ranked(results).items()
        if j.of_one_customer
    ]


def ranked(results: Results) -> dict[str, Judgement]:
    """The judgements, the best average precision first."""
    judged = {name: result for name, result in results.items() if isinstance(result, Judgement)}
    return dict(sorted(judged.items(), key=lambda pair: -(pair[1].figures["average_precision"].value or 0.0)))


def scenario_rows(judgement: Judgement) -> list[list[str]]:
    """A row for each scenario, in the order of SCENARIO_COLUMNS."""
    return [
        [
            name,
            f"{result.frauds:,}",
            cell("recall", result.recall),
            f"{result.caught:,} of {result.attacks:,}",
            "–" if result.median_transactions_to_detection is None else f"{result.median_transactions_to_detection:g}",
            duration(result.median_seconds_to_detection),
            "–" if result.median_amount_lost is None else f"{result.median_amount_lost:,.0f}",
            f"{1 - result.amount_lost / result.amount:.0%}" if result.amount else "–",
        ]
        for name, result in judgement.scenarios.items()
    ]


def cell(field: str, estimate: Estimate) -> str:
    """A figure with its interval; where not all runs have it, of how many it is.

    >>> cell("recall", Estimate(0.6123, 0.5902, 0.6344)), cell("false_positive_rate", Estimate(0.0005))
    ('0.612 [0.590, 0.634]', '0.050 %')
    >>> cell("decline_recall", Estimate(0.5, exists_in="1 of 5 runs"))
    '0.500 (1 of 5 runs)'
    """
    if estimate.value is None:
        return f"– ({estimate.reason})"
    scale, decimals, unit = (100, _SHARES[field], " %") if field in _SHARES else (1, 3, "")
    value = f"{scale * estimate.value:.{decimals}f}"
    some = f" ({estimate.exists_in})" if estimate.exists_in else ""
    if estimate.low is None or estimate.high is None:
        return value + unit + some
    return f"{value} [{scale * estimate.low:.{decimals}f}, {scale * estimate.high:.{decimals}f}]{unit}{some}"


def duration(seconds: float | None) -> str:
    """Seconds as a person says them.

    >>> duration(None), duration(42.4), duration(600.0), duration(7200.0)
    ('–', '42 s', '10 min', '2.0 h')
    """
    if seconds is None:
        return "–"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def last_line(results: Results) -> dict[str, Any]:
    """Each detector's figures; under `scenarios` those of the one with the best average precision, which is named there.

    Under `of_one_customer`, where there are other kinds: each detector's figures without them.
    """
    judged = ranked(results)
    figures: dict[str, Any] = {name: _line(judgement.figures) for name, judgement in judged.items()}
    alone = {name: _line(judgement.of_one_customer) for name, judgement in judged.items() if judgement.of_one_customer}
    scenarios = {
        scenario: {
            "recall": result.recall.value,
            "median_transactions_to_detection": result.median_transactions_to_detection,
            "detector": name,
        }
        for name, judgement in list(judged.items())[:1]
        for scenario, result in judgement.scenarios.items()
    }
    return {**figures, **({"of_one_customer": alone} if alone else {}), "scenarios": scenarios}


def _line(figures: Mapping[str, Estimate]) -> dict[str, float | None]:
    return {field: figures[field].value for field in _LAST_LINE}
