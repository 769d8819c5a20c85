"""What a model may judge by: all numbers that are known of a transaction, by name."""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ml.arrays import Floats, Ints
from ml.features.profile_schema import PROFILE_FEATURES
from ml.features.state_schema import FEATURES


def available(extras: Sequence[str] = ()) -> tuple[str, ...]:
    """The names of all of them: the customer's features, those of profiles, and the extras that are declared."""
    return (*FEATURES, *PROFILE_FEATURES, *extras)


def needs_profiles(features: tuple[str, ...]) -> bool:
    """Whether any of these features is of a profile."""
    return not set(PROFILE_FEATURES).isdisjoint(features)


class Numbers(NamedTuple):
    """Numbers of n transactions from one source: values (n, len(names)), a column for each name."""

    names: tuple[str, ...]
    values: Floats


def columns(features: tuple[str, ...], sources: Sequence[Numbers]) -> Floats:
    """The columns of these names, in their order: (n, len(features)), of sources of n rows each.

    Where they are all columns of the first source the array is that source's own. Raises KeyError where a name is in no source.

    >>> first = Numbers(("a", "b"), np.array([[1.0, 2.0]]))
    >>> columns(("a", "b"), [first]) is first.values
    True
    >>> columns(("c", "a"), [first, Numbers(("c",), np.array([[3.0]]))])
    array([[3., 1.]])
    """
    first = sources[0]
    if features == first.names:
        return first.values
    names = tuple(name for source in sources for name in source.names)
    values = np.hstack([source.values for source in sources]) if len(sources) > 1 else first.values
    return values if features == names else np.ascontiguousarray(values[:, _places(features, names)])


@lru_cache
def _places(features: tuple[str, ...], names: tuple[str, ...]) -> Ints:
    of_name = {name: place for place, name in enumerate(names)}
    return np.array([of_name[name] for name in features], np.int64)
