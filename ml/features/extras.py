"""A history's extras as features: numbers that came with its transactions and that no fold computes."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from ml.arrays import Floats
from ml.features.declared import NOTHING, Declared, within


class WithExtras(NamedTuple):
    """features (n, F + extras), NaN where an extra is unknown; outside: by extra how many values lay outside its range."""

    features: Floats
    outside: dict[str, int]


def with_extras(features: Floats, piece: pa.Table, extras: Sequence[str], declared: Declared = NOTHING) -> WithExtras:
    """The features (n, F) of a piece of a history, and beside them its extras, unknown where no message could have them."""
    if not extras:
        return WithExtras(features, {})
    columns, outside = [], {}
    for name in extras:
        given = piece[name].to_numpy()
        columns.append(within(declared, name, given))
        if wrong := int(np.count_nonzero(np.isnan(columns[-1]) & ~np.isnan(given))):
            outside[name] = wrong
    return WithExtras(np.column_stack([features, *columns]), outside)


def for_unknown(fit: Floats, extras: Sequence[str], declared: Declared = NOTHING) -> dict[str, float]:
    """What unknown extras become: what the declaration says, else their median in what is fitted to (n, F + extras), so that
    it reveals nothing of later parts; 0 where that has none.
    """
    said = {extra.name: extra.unknown for extra in declared if extra.unknown is not None}
    columns = fit.T[fit.shape[1] - len(extras) :]
    known = [column[~np.isnan(column)] for column in columns]
    medians = [float(np.median(column)) if len(column) else 0.0 for column in known]
    return {name: said.get(name, median) for name, median in zip(extras, medians, strict=True)}


def filled(features: Floats, names: Sequence[str], values: Mapping[str, float]) -> Floats:
    """Features (n, F) of these names, with values for the unknown ones among the extras.

    >>> filled(np.array([[1.0, np.nan], [2.0, 3.0]]), ("a", "risk"), {"risk": 0.5}).tolist()
    [[1.0, 0.5], [2.0, 3.0]]
    """
    if not values:
        return features
    of_column = np.array([values.get(name, np.nan) for name in names])
    return np.where(np.isnan(features), of_column, features)
