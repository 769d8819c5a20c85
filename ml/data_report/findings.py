"""What of a history a person should look at before a model is trained on it, each as one sentence."""

from collections.abc import Iterator
from typing import Final

from ml.data_report.summary import Summary

_STRONG: Final = 0.9
_MOST_CHECKED: Final = 0.5


def findings(summary: Summary) -> list[str]:
    """The sentences, the most urgent ones first; none where nothing is unusual."""
    return [*_of_labels(summary), *_of_rows(summary), *_of_fields(summary)]


def _of_labels(summary: Summary) -> Iterator[str]:
    if not summary.labelled:
        yield "There are no labels beside it (labels.parquet), so nothing here is about fraud."
        return
    if not summary.frauds:
        yield "The labels name no fraud among its transactions."
    elif summary.fraud_share > _MOST_CHECKED:
        yield f"{summary.fraud_share:.0%} of it are fraud: are the label's values the right way round?"
    found = summary.correlations()
    if "fraud" in found:
        for name, with_fraud in zip(found.columns, found["fraud"].to_numpy(), strict=True):
            if name != "fraud" and abs(with_fraud) >= _STRONG:
                yield (
                    f"{name} goes along with fraud almost perfectly ({with_fraud:.2f}): is it known when the payment is made?"
                )


def _of_rows(summary: Summary) -> Iterator[str]:
    if summary.duplicates:
        yield f"{summary.duplicates:,} transactions have an id that an earlier one has: the fold leaves them out."
    gaps = max(summary.days) - min(summary.days) + 1 - len(summary.days)
    if gaps:
        yield f"{gaps:,} days within it have no transaction at all."
    if summary.unknown_currencies:
        yield f"{summary.unknown_currencies:,} transactions are in a currency without a rate: their amounts are left out here."
    if summary.zero_amounts:
        yield f"{summary.zero_amounts:,} amounts ({summary.zero_amounts / summary.rows:.2%}) are zero."
    of_one = summary.rows / max(summary.distinct["customer_id"], 1)
    if of_one < 2:
        yield f"A customer has {of_one:.2f} transactions on average, so features of a customer's past say little."


def _of_fields(summary: Summary) -> Iterator[str]:
    empty = [name for name, count in summary.missing.items() if count == summary.rows]
    if empty:
        yield f"Never there: {', '.join(empty)}."
    constant = [f"{name} ({next(iter(values))})" for name, values in summary.values.items() if len(values) == 1]
    if constant:
        yield f"The same in every transaction that has it: {', '.join(constant)}."
