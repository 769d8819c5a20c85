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


class Block(NamedTuple):
    """Numbers of n transactions from one source: values (n, len(names)), a column for each name."""

    names: tuple[str, ...]
    values: Floats


def columns(features: tuple[str, ...], blocks: Sequence[Block]) -> Floats:
    """The columns of these names, in their order: (n, len(features)), of blocks of n rows each.

    Where they are all columns of the first block the array is that block's own. Raises KeyError where a name is in no block.

    >>> block = Block(("a", "b"), np.array([[1.0, 2.0]]))
    >>> columns(("a", "b"), [block]) is block.values
    True
    >>> columns(("c", "a"), [block, Block(("c",), np.array([[3.0]]))])
    array([[3., 1.]])
    """
    first = blocks[0]
    if features == first.names:
        return first.values
    names = tuple(name for block in blocks for name in block.names)
    values = np.hstack([block.values for block in blocks]) if len(blocks) > 1 else first.values
    return values if features == names else np.ascontiguousarray(values[:, _places(features, names)])


@lru_cache
def _places(features: tuple[str, ...], names: tuple[str, ...]) -> Ints:
    of_name = {name: place for place, name in enumerate(names)}
    return np.array([of_name[name] for name in features], np.int64)
