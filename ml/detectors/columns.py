"""Which columns an Isolation Forest reads: of a few documented sets, the one that ranks the known frauds of later rows best.

A forest draws its columns by lot, so each one that says nothing costs it something, and what says something differs from bank
to bank (docs/features.md). Detectors that learn from labels find that out by themselves, and read all.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from ml.arrays import Flags, Floats
from ml.detectors.calibration import split
from ml.detectors.combined import Combined
from ml.detectors.detector import Detector, TooFewRows
from ml.detectors.isolation_forest import IsolationForest
from ml.features.profile_schema import PROFILE_FEATURES
from ml.metrics import Ranking

ALL: Final = "all"
_RISKS: Final = ("merchant_risk_1d", "merchant_risk_7d", "merchant_risk_30d", "merchant_frauds_7d")
_FROM_LABELS: Final = (*_RISKS, "category_risk_30d")

LEFT_OUT: Final[Mapping[str, tuple[str, ...]]] = {ALL: (), "without labels": _FROM_LABELS}
"""By name, sets of columns that are all but these."""

CHOSEN: Final[Mapping[str, tuple[str, ...]]] = {
    "amounts and risks": ("log_amount", "amount_z", "amount_ratio", "log_amount_ratio", *_RISKS)
}
"""By name, sets that are these columns alone."""


class Choice(NamedTuple):
    """A detector with the columns that were chosen for it; the set's name, and the average precision that chose it.

    None, None where nothing was to be chosen, or too few frauds are known for it.
    """

    detector: Detector
    column_set: str | None = None
    average_precision: float | None = None


def choose(detector: Detector, names: Sequence[str], features: Floats, is_fraud: Flags, seed: int) -> Choice:
    """The detector with the best columns for its forest, where it has one and profile features are among the columns.

    features: (n, len(names)), is_fraud: (n,), rows in time order. Each set is fitted to the first 70 % of the rows and judged
    by its average precision on the rest.
    """
    if not isinstance(detector, IsolationForest | Combined) or set(PROFILE_FEATURES).isdisjoint(names):
        return Choice(detector)
    forest = detector if isinstance(detector, IsolationForest) else detector.unsupervised
    try:
        early, later = split(is_fraud)
    except TooFewRows:
        return Choice(detector)
    found: dict[str, tuple[float, IsolationForest]] = {}
    for name, columns in _sets(names):
        candidate = replace(forest, columns=columns)
        scores = candidate.fit(features[early], is_fraud[early], seed).anomaly_score(features[later])
        reached = Ranking.from_scores(is_fraud[later], scores).curve().average_precision.value or 0.0
        found[name] = reached, candidate
    best = max(found, key=lambda name: found[name][0])
    reached, forest = found[best]
    return Choice(
        forest if isinstance(detector, IsolationForest) else replace(detector, unsupervised=forest), best, reached
    )


def narrowed(detector: Detector, names: Sequence[str]) -> tuple[Detector, tuple[int, ...]]:
    """The same detector for the columns alone that it reads, and which of the names these are."""
    if isinstance(detector, IsolationForest) and detector.columns:
        return replace(detector, columns=()), detector.columns
    return detector, tuple(range(len(names)))


def _sets(names: Sequence[str]) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Each set that these columns have, by name, as places among them; () are all."""
    for name, out in LEFT_OUT.items():
        yield name, tuple(k for k, column in enumerate(names) if column not in out) if out else ()
    for name, wanted in CHOSEN.items():
        if set(wanted) <= set(names):
            yield name, tuple(names.index(column) for column in wanted)
