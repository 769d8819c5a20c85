"""Extra columns of a history as features: numbers that came with its transactions and that no fold computes."""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from ml.arrays import Floats


def with_extras(features: Floats, piece: pa.Table, extras: Sequence[str]) -> Floats:
    """The features (n, F) of a piece of a history, and beside them its extra columns, NaN where unknown: (n, F + extras)."""
    return np.column_stack([features, *(piece[name].to_numpy() for name in extras)]) if extras else features


def filled(parts: Mapping[str, Floats], extras: Sequence[str]) -> dict[str, Floats]:
    """The features (n, F + extras) of each part, with numbers for the unknown ones among the extras.

    An unknown one becomes the median of its column in the part "fit", so that it reveals nothing of later
    parts; 0 where that part has none.
    """
    if not extras:
        return dict(parts)
    columns = parts["fit"].T[-len(extras) :]
    known = [column[~np.isnan(column)] for column in columns]
    medians = np.array([np.median(column) if len(column) else 0.0 for column in known])
    return {name: _filled(features, medians) for name, features in parts.items()}


def _filled(features: Floats, medians: Floats) -> Floats:
    computed, extra = np.split(features, [-len(medians)], axis=1)
    return np.column_stack([computed, np.where(np.isnan(extra), medians, extra)])
