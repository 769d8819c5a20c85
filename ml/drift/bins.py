"""The bins in which features and scores are counted: chosen once, where a model is trained, so that counts can be added up."""

from typing import Final, Self

import msgspec
import numpy as np

from ml.arrays import Floats, Ints, Names
from ml.segments import SEPARATOR

BINS: Final = 12
"""The most bins that a column has."""

SCORE: Final = "anomaly_score"
OTHER: Final = "other"
"""What all segments are called that are not among the largest."""

MOST_SEGMENTS: Final = 40
MOST_CATEGORIES: Final = 1_000
_QUANTILES: Final = (0.01, 0.05, 0.15, 0.25, 0.4, 0.5, 0.6, 0.75, 0.85, 0.95, 0.99)


class Bins(msgspec.Struct, frozen=True):
    """The columns that are counted, and where the bins of each end; the last column is the score.

    edges: of each column, ascending: a value's bin is how many of them it is above. segments: by name, the largest of the
    reference, sorted; all others are counted together. categories: all merchant categories of the reference, sorted; "?" where
    some had none.
    """

    names: tuple[str, ...]
    edges: tuple[tuple[float, ...], ...]
    segments: tuple[str, ...]
    categories: tuple[str, ...] = ()

    @classmethod
    def from_rows(cls, names: tuple[str, ...], features: Floats, scores: Floats, segments: Names) -> Self:
        """From features (n, len(names)), scores (n,) and segments (n,) of ordinary traffic, of which there must be some.

        A bin ends at a quantile; where many values are the same, several quantiles are, and there are fewer bins.
        """
        whole = np.column_stack([features, scores])
        known, rows = np.unique(segments.astype(str), return_counts=True)
        largest = known[np.argsort(-rows, kind="stable")[:MOST_SEGMENTS]]
        edges = tuple(_edges(column) for column in whole.T)
        categories = sorted({name.split(SEPARATOR)[-1] for name in known.tolist()})
        return cls((*names, SCORE), edges, tuple(sorted(largest.tolist())), tuple(categories[:MOST_CATEGORIES]))

    def places(self, features: Floats, scores: Floats) -> Ints:
        """(n, len(self.names)) the bin of each value of features (n, F) and scores (n,); what is not a number is in bin 0."""
        whole = np.column_stack([features, scores])
        out = np.empty(whole.shape, np.int64)
        for number, edges in enumerate(self.edges):
            out[:, number] = np.searchsorted(np.array(edges), np.nan_to_num(whole[:, number], nan=-np.inf), "left")
        return out

    def segment_places(self, segments: Names) -> Ints:
        """(n,) where each segment (n,) stands among `segments`, len(segments) where it is none of them."""
        import pandas as pd

        numbers, different = pd.factorize(segments)
        known = {name: place for place, name in enumerate(self.segments)}
        of = np.array([known.get(str(name), len(known)) for name in different], np.int64)
        return np.asarray(of[numbers], np.int64)


def _edges(column: Floats) -> tuple[float, ...]:
    """
    >>> _edges(np.array([0.0] * 999 + [1.0]))
    (0.0,)
    """
    column = column[np.isfinite(column)]
    if not len(column):
        return (0.0,)
    edges = np.unique(np.quantile(column, _QUANTILES, method="inverted_cdf"))
    inside = edges[edges < column.max()]
    return tuple((inside if len(inside) else edges[:1]).tolist())
