"""Lays out the trees of scikit-learn and XGBoost as `ml.scorers.trees.Trees`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ml.arrays import Floats
from ml.scorers.trees import DEEPEST, Trees

if TYPE_CHECKING:  # whoever scores does without it
    from sklearn.ensemble import BaseEnsemble


@dataclass(frozen=True, eq=False)
class LibraryTree:
    """One tree as libraries keep it: (n,) for n nodes, node 0 the root, children < 0 at leaves.

    A row goes left where its feature, as float32, is at most the threshold (float64 or float32).
    """

    left: npt.NDArray[np.integer]
    right: npt.NDArray[np.integer]
    feature: npt.NDArray[np.integer]
    threshold: npt.NDArray[np.floating]
    value: Floats


def laid_out(grown: Sequence[LibraryTree], features: int) -> Trees:
    """The trees in their order, over rows of so many features. Raises ValueError where one is deeper than DEEPEST."""
    depth = max(1, *map(_depth, grown))
    if depth > DEEPEST:
        raise ValueError(f"trees may be at most {DEEPEST} levels deep, but one is deeper; set its maximum depth")
    perfect = [_perfect(tree, depth) for tree in grown]
    feature, threshold, leaf = (np.stack(arrays) for arrays in zip(*perfect, strict=True))
    return Trees(feature, threshold, leaf, features)


def trees_of_forest(forest: "BaseEnsemble", values: Sequence[npt.ArrayLike]) -> Trees:
    """The trees of a fitted forest of scikit-learn, with a value for each node of each tree: that of a leaf counts."""
    grown = [
        LibraryTree(
            tree.children_left, tree.children_right, tree.feature, tree.threshold, np.asarray(value, np.float64)
        )
        for tree, value in zip((estimator.tree_ for estimator in forest.estimators_), values, strict=True)
    ]
    return laid_out(grown, forest.n_features_in_)


def _depth(tree: LibraryTree) -> int:
    """Levels of splits; at most one more than DEEPEST is looked for."""
    level = np.zeros(1, np.int64)
    for depth in range(DEEPEST + 1):
        inner = level[tree.left[level] >= 0]
        if not len(inner):
            return depth
        level = np.concatenate([tree.left[inner], tree.right[inner]])
    return DEEPEST + 1


def _perfect(tree: LibraryTree, depth: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32], Floats]:
    """A leaf above the lowest level becomes a subtree of splits that let everything go left, all its leaves the same."""
    limits = _as_float32_below(tree.threshold)
    at = np.zeros(1, np.int64)  # the library's node at each place of a level
    feature, threshold = [], []
    for _ in range(depth):
        inner = tree.left[at] >= 0
        feature.append(np.where(inner, tree.feature[at], 0))
        threshold.append(np.where(inner, limits[at], np.float32(np.inf)))
        at = np.stack([np.where(inner, tree.left[at], at), np.where(inner, tree.right[at], at)], axis=1).ravel()
    return np.concatenate(feature).astype(np.int32), np.concatenate(threshold), np.asarray(tree.value[at], np.float64)


def _as_float32_below(threshold: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """The largest float32 not above each threshold: a float32 is at most the one where it is at most the other."""
    near = threshold.astype(np.float32)
    return np.where(near > threshold, np.nextafter(near, np.float32(-np.inf)), near)
