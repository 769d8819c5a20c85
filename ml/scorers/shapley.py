"""Exact Shapley values of an ensemble of trees against one reference row.

The game: the features of a coalition have the row's values, all others the reference's. For one tree only the leaves that
some such mixture reaches count, and a leaf's share follows from how many features on its path must come from the row and
how many from the reference (H. Chen, S. Lundberg & S.-I. Lee, "Explaining a series of models by propagating Shapley
values", Nature Communications 13, 2022, interventional TreeSHAP with a single reference).

Why our own: reasons are given in the stream, from these arrays; shap wants the libraries that trained them. Its values are
the same (`tests/ml/test_shapley.py`).
"""

from math import factorial
from typing import Final

import numba
import numpy as np

from ml.arrays import Floats
from ml.compiling import compiled
from ml.scorers.trees import DEEPEST, Trees

MOST_FEATURES: Final = 64
"""The features on a path are kept as bits of one integer."""

_SHARE: Final = np.array(
    [
        [factorial(a - 1) * factorial(b) / factorial(a + b) if a else 0.0 for b in range(DEEPEST + 1)]
        for a in range(DEEPEST + 1)
    ]
)
"""[a, b]: a leaf's share for each of a features that must come from one side, where b must come from the other."""


def contributions(trees: Trees, features: Floats, reference: Floats) -> Floats:
    """(n, F), (F,) → (n, F): each row sums to the difference between its `trees.sums` and the reference's."""
    if trees.features > MOST_FEATURES:
        raise ValueError(f"at most {MOST_FEATURES} features can be distinguished, but there are {trees.features}")
    out = np.zeros(features.shape)
    row32, reference32 = features.astype(np.float32), reference.astype(np.float32)
    _contributions(row32, reference32, trees.feature, trees.threshold, trees.leaf, _SHARE, out)
    return out


@compiled
def _contributions(rows, reference, feature, threshold, leaf, share, out):  # type: ignore[no-untyped-def]
    inner = feature.shape[1]
    # The way down so far: the features at which row and reference parted, and which of the two was followed.
    parted = np.empty(64, np.int64)
    sides = np.empty(64, np.bool_)
    # The branches that are left for later, at most one a level: where they begin, and how long the way was until there.
    nodes = np.empty(64, np.int64)
    lengths = np.empty(64, np.int64)
    for t in range(len(leaf)):  # before the rows: a tree that all of them go down stays in the processor's cache
        for n in range(len(rows)):
            row = rows[n]
            i, length, waiting = np.int64(0), np.int64(0), 0
            ours = theirs = np.uint64(0)
            while True:
                while i < inner:
                    f = feature[t, i]
                    bit = np.uint64(1) << np.uint64(f)
                    mine = 2 * i + 1 + np.int64(row[f] > threshold[t, i])
                    other = 2 * i + 1 + np.int64(reference[f] > threshold[t, i])
                    if mine != other and not (ours & bit or theirs & bit):
                        nodes[waiting], lengths[waiting] = other, length
                        waiting += 1
                        parted[length], sides[length] = f, True
                        length += 1
                        ours |= bit
                    i = other if theirs & bit else mine
                _share_out(leaf[t, i - inner], parted, sides, length, share, out[n])
                if not waiting:
                    break
                waiting -= 1
                i, length = nodes[waiting], lengths[waiting] + 1
                sides[length - 1] = False
                ours, theirs = np.uint64(0), np.uint64(0)
                for k in range(length):
                    if sides[k]:
                        ours |= np.uint64(1) << np.uint64(parted[k])
                    else:
                        theirs |= np.uint64(1) << np.uint64(parted[k])


@numba.njit(error_model="numpy", inline="always")
def _share_out(value, parted, sides, length, share, out):  # type: ignore[no-untyped-def]
    a = 0
    for k in range(length):
        a += sides[k]
    ours, theirs = value * share[a, length - a], value * share[length - a, a]
    for k in range(length):
        if sides[k]:
            out[parted[k]] += ours
        else:
            out[parted[k]] -= theirs
