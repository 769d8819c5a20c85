"""An ensemble of decision trees as flat arrays: the sum of the leaves that a row falls into, for batches and for one row.

Every tree is laid out as a perfect binary tree of the same depth, level by level, as in a heap: the children of node i are
2i + 1 and 2i + 2. So there are no pointers to follow or to check, every row takes equally many steps, and the processor
can work on many rows at a time.

Why our own: scikit-learn takes milliseconds for a single row, and XGBoost adds up in float32, in an order of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Self

import numba
import numpy as np
import numpy.typing as npt

from ml.arrays import Floats
from ml.compiling import compiled

DEEPEST: Final = 12
"""Levels of splits; each one more doubles the arrays."""

_ROWS_AT_ONCE: Final = 512

Nodes = npt.NDArray[np.int32]
Thresholds = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Trees:
    """T trees of depth D: feature and threshold (T, 2^D - 1), leaf (T, 2^D); they read F features as float32.

    A row goes right at a node where its feature is greater than the threshold. Raises ValueError where the arrays can't
    be such trees.
    """

    feature: Nodes
    threshold: Thresholds
    leaf: Floats
    features: int

    def __post_init__(self) -> None:
        count, leaves = self.leaf.shape if self.leaf.ndim == 2 else (0, 0)
        forms = [a.dtype.str[1:] for a in (self.feature, self.threshold, self.leaf)] == ["i4", "f4", "f8"]
        shapes = self.feature.shape == self.threshold.shape == (count, leaves - 1)
        power = leaves in [1 << depth for depth in range(1, DEEPEST + 1)]
        if not (forms and shapes and power and count):
            raise ValueError(f"trees need perfect layouts, but there are leaves of shape {self.leaf.shape}")
        if self.feature.min() < 0 or self.feature.max() >= self.features:
            raise ValueError(f"a tree splits by a feature that is not among the {self.features}")
        if np.isnan(self.threshold).any() or not np.isfinite(self.leaf).all():
            raise ValueError("a tree holds values that are not finite")

    @property
    def depth(self) -> int:
        """Levels of splits."""
        return int(self.leaf.shape[1]).bit_length() - 1

    def placed(self, columns: Sequence[int], features: int) -> Self:
        """The same trees over rows of so many features, in which those of these trees have the places `columns`."""
        return replace(self, feature=np.asarray(columns, np.int32)[self.feature], features=features)

    def sums(self, features: Floats) -> Floats:
        """The sum of each row's leaves, tree by tree in their order: (n, F) → (n,)."""
        out = np.empty(len(features))
        _sums(self._checked(features, 2), self.feature, self.threshold, self.leaf, self.depth, out)
        return out

    def sum_one(self, row: Floats) -> float:
        """The same for one row (F,), bit for bit."""
        return float(_sum_one(self._checked(row, 1), self.feature, self.threshold, self.leaf, self.depth))

    def _checked(self, features: Floats, dimensions: int) -> Floats:
        if features.ndim != dimensions or features.shape[-1] != self.features:
            raise ValueError(f"rows of {self.features} features are required, but the shape is {features.shape}")
        return features


@compiled
def _sums(features, feature, threshold, leaf, depth, out):  # type: ignore[no-untyped-def]
    rows, columns = features.shape
    block = np.zeros(columns * _ROWS_AT_ONCE, np.float32)  # one feature after another
    node = np.zeros(_ROWS_AT_ONCE, np.uint32)
    total = np.zeros(_ROWS_AT_ONCE)
    for start in range(0, rows, _ROWS_AT_ONCE):
        here = min(_ROWS_AT_ONCE, rows - start)
        for column in range(columns):
            for r in range(here):
                block[column * _ROWS_AT_ONCE + r] = features[start + r, column]
        total[:] = 0
        for t in range(len(leaf)):
            _descend(block, feature[t], threshold[t], depth, here, node)
            for r in range(here):
                total[r] += leaf[t, node[r]]
        out[start : start + here] = total[:here]


@numba.njit(error_model="numpy", inline="always")
def _descend(block, feature, threshold, depth, here, node):  # type: ignore[no-untyped-def]
    """Write the number of the leaf that each row of the block falls into to `node`."""
    node[:here] = 0
    for _ in range(depth):
        for r in range(here):
            i = node[r]
            value = block[np.uint32(feature[i]) * np.uint32(_ROWS_AT_ONCE) + np.uint32(r)]
            node[r] = np.uint32(2) * i + np.uint32(1) + np.uint32(value > threshold[i])
    for r in range(here):
        node[r] -= np.uint32(len(feature))


@compiled
def _sum_one(row, feature, threshold, leaf, depth):  # type: ignore[no-untyped-def]
    total = 0.0
    for t in range(len(leaf)):
        i = np.uint32(0)
        for _ in range(depth):
            right = np.float32(row[np.uint32(feature[t, i])]) > threshold[t, i]
            i = np.uint32(2) * i + np.uint32(1) + np.uint32(right)
        total += leaf[t, i - np.uint32(feature.shape[1])]
    return total
