"""How much money was scored and how much of it alerted, by currency. Runs in Spark's Python workers."""

from typing import Any, Final

import numpy as np
import pyarrow as pa

from ml.features.currencies import default_rates
from ml.features.state_schema import LARGEST_AMOUNT

OTHER: Final = "other"
NONE: Final = "none"
"""Of payments that name no currency."""

_RATES: Final = default_rates()
CURRENCIES: Final = frozenset({_RATES.base, *_RATES.rates})

Amounts = dict[str, tuple[float, float]]
"""By currency: the sum of all amounts, and of those that are alerts."""


def amounts(currency: "pa.Array[Any]", amount: "pa.Array[Any]", is_anomaly: "pa.Array[Any]") -> Amounts:
    """Of payments (n,). An amount counts as at most `LARGEST_AMOUNT`; a currency that the built-in rates lack as "other".

    >>> columns = pa.array(["EUR", "EUR", "xyz", None]), pa.array([1.0, 2.0, 4.0, 8.0]), pa.array([True, False, True, False])
    >>> amounts(*columns)
    {'EUR': (3.0, 1.0), 'other': (4.0, 4.0), 'none': (8.0, 0.0)}
    """
    encoded: Any = currency.dictionary_encode(null_encoding="encode")
    names = encoded.dictionary.to_pylist()
    number = encoded.indices.to_numpy(zero_copy_only=False)
    paid = np.minimum(amount.to_numpy(), LARGEST_AMOUNT)
    sums = np.bincount(number, paid, len(names))
    flagged = np.bincount(number, paid * is_anomaly.to_numpy(zero_copy_only=False), len(names))
    found: Amounts = {}
    for name, total, alerted in zip(map(_label, names), sums.tolist(), flagged.tolist(), strict=True):
        before = found.get(name, (0.0, 0.0))
        found[name] = before[0] + total, before[1] + alerted
    return found


def _label(name: str | None) -> str:
    if name is None:
        return NONE
    return name if name in CURRENCIES else OTHER


def added(one: Amounts, other: Amounts) -> Amounts:
    """Of both together."""
    return one | {
        name: (one[name][0] + sums[0], one[name][1] + sums[1]) if name in one else sums for name, sums in other.items()
    }
