"""What decides on a transaction: a version of a model, and the threshold of each segment."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final, Literal, NamedTuple, Self

import numpy as np

from detection.halves import Rows, in_halves
from detection.ranges import Challenger, Versions
from detection.trial import chosen
from ml.arrays import Flags, Floats, Ints
from ml.features import FEATURES, NO_POSITION
from ml.features.available import Numbers, columns, needs_profiles
from ml.features.profile_counts import blocks_of
from ml.features.profiles import NEUTRAL, PROFILE_FEATURES, Profiles
from ml.model import Model
from ml.schema import Reason
from ml.thresholds.table import Lookup, Table

_FIELDS: Final = [
    ("features", np.float64, len(FEATURES)),
    ("segment", np.uint64),
    ("merchant", np.uint64),
    ("category", np.uint64),
    ("time", np.int64),
    ("bytes", np.int32),
    ("customer", np.uint32),
    ("position", np.int64),
]


@lru_cache(8)
def basis_type(extras: tuple[str, ...] = ()) -> "np.dtype[np.void]":
    """What the judgement of a transaction rests on, where these extras are declared; see `BASIS`.

    extras: NaN where unknown; there is no such field where none are declared.
    """
    return np.dtype([*_FIELDS, *([("extras", [(name, np.float64) for name in extras])] if extras else [])])


BASIS: Final = basis_type()
"""What the judgement of a transaction rests on: its customer features, the number of the segment whose threshold applies, the
hashes of its merchant and category (0 where unknown) and its event time (ms), by which profiles are looked up, and its
position in the log, by which a replay knows who judged it before. Of what is not to be judged the position is NO_POSITION.
bytes: of its key and of the beginning of its score. customer: 32 bits of its hash, by which shares of them are drawn."""


@lru_cache(8)
def not_judged(kind: "np.dtype[np.void]") -> bytes:
    """Of what is not to be judged, the bytes of its basis."""
    row = np.zeros(1, kind)
    row["position"] = NO_POSITION
    return row.tobytes()


NOT_JUDGED: Final = not_judged(BASIS)


def extras_in(basis: np.ndarray) -> Floats:
    """The extras (n, extras) of rows (n,) of a `basis_type` that has some: a view, which may be written to."""
    names = basis.dtype["extras"].names or ()
    return basis.view(np.dtype([*_FIELDS, ("extras", np.float64, (len(names),))]))["extras"]


_LOG_AMOUNT: Final = FEATURES.index("log_amount")


class Judgements(NamedTuple):
    """Of n transactions, k of them anomalies: anomaly_score, threshold (n,) float64; is_anomaly (n,) bool.

    Of the anomalies: reasons, a list each; seen (k, len(features)), what the model judged them by, with the columns' names.
    profile: what was looked up, where a model judges by profiles. beside: what the other model says, where one is on trial.
    """

    anomaly_score: Floats
    threshold: Floats
    is_anomaly: Flags
    reasons: list[list[Reason]]
    seen: Floats
    features: tuple[str, ...]
    profile: "LookedUp | None" = None
    beside: "Beside | None" = None


class LookedUp(NamedTuple):
    """The profile features of n transactions: values (n, len(PROFILE_FEATURES)); ahead (n,) bool, whether the table knows of
    blocks that are not before the transaction's own, as where that came late."""

    values: Floats
    ahead: Flags


class Trial(NamedTuple):
    """A model that scores beside the one that judges. by: what the ledger calls it, and the customers that it meets.

    role: what its judgement is called on a score.
    """

    by: Challenger
    model: Model
    thresholds: Lookup
    role: Literal["challenger", "champion"] = "challenger"


class Beside(NamedTuple):
    """What a model on trial says of m of n transactions: rows (m,), anomaly_score, threshold (m,) float64, is_anomaly (m,)."""

    trial: Trial
    rows: Ints
    anomaly_score: Floats
    threshold: Floats
    is_anomaly: Flags


class Decision(NamedTuple):
    """Judges by a model and by thresholds: of a table, or the model's own for every segment; beside it a model on trial."""

    versions: Versions
    model: Model
    thresholds: Lookup
    profiles: Profiles | None = None
    trial: Trial | None = None

    @classmethod
    def from_table(
        cls,
        versions: Versions,
        model: Model,
        table: Table | None,
        profiles: Profiles | None = None,
        trial: Trial | None = None,
    ) -> Self:
        """The decision by a table of thresholds; without, by the model's own threshold."""
        return cls(versions, model, lookup(model, table), profiles, trial)

    def by_challenger(self) -> Self | None:
        """The decision on those whom the challenger judges, with the champion beside it; None where it judges nobody."""
        own, versions = self.versions, self.versions.by_challenger
        if versions is None or self.trial is None or self.trial.by.judges <= 0:
            return None
        champion = Challenger(own.model, own.name, own.model_digest, own.thresholds, own.table_digest)
        trial = Trial(champion, self.model, self.thresholds, "champion")
        return self._replace(versions=versions, model=self.trial.model, thresholds=self.trial.thresholds, trial=trial)

    def judge(self, basis: np.ndarray) -> Judgements:
        """Transactions (n,) of a `basis_type` → their judgements.

        Above the threshold of its segment a score is an anomaly, at it normal. Raises ValueError where the model's score is
        not a finite number.
        """
        sources, profile = self._sources(basis)
        features = _seen(self.model, sources)
        scores = self.model.anomaly_score(features)
        if not np.isfinite(scores).all():
            raise ValueError(f"the model's score is not a finite number: {scores[~np.isfinite(scores)][0]}")
        thresholds = self.thresholds.of_segments(basis["segment"])
        anomalies = scores > thresholds
        seen = features[anomalies]
        reasons = self.model.reasons(seen) if len(seen) else []
        beside = None if self.trial is None else _beside(self.trial, basis, sources)
        return Judgements(scores, thresholds, anomalies, reasons, seen, self.model.features, profile, beside)

    def _sources(self, basis: np.ndarray) -> tuple[list[Numbers], "LookedUp | None"]:
        """All numbers that the models may see of the transactions, and what was looked up."""
        models = [self.model] if self.trial is None else [self.model, self.trial.model]
        customer = np.ascontiguousarray(basis["features"])
        needed = any(needs_profiles(model.features) for model in models)
        profile = self._looked_up(basis, customer) if needed else None
        sources = [Numbers(FEATURES, customer)]
        if profile is not None:
            sources.append(Numbers(PROFILE_FEATURES, profile.values))
        if any(model.extras for model in models) and "extras" in (basis.dtype.names or ()):
            sources.append(Numbers(basis.dtype["extras"].names or (), extras_in(basis)))
        return sources, profile

    def _looked_up(self, basis: np.ndarray, customer: Floats) -> LookedUp:
        if self.profiles is None:
            return LookedUp(np.full((len(basis), len(PROFILE_FEATURES)), NEUTRAL), np.zeros(len(basis), np.bool_))
        hashes = np.ascontiguousarray(basis["merchant"]), np.ascontiguousarray(basis["category"])
        values = self.profiles.features(*hashes, np.ascontiguousarray(customer[:, _LOG_AMOUNT]))
        return LookedUp(values, blocks_of(basis["time"], self.profiles.block_seconds) <= self.profiles.as_of)

    def typical(self, kind: "np.dtype[np.void]" = BASIS) -> np.ndarray:
        """(1,) of a `basis_type`: a transaction that is typical of those that the model was trained on, which it must be able
        to judge."""
        row = np.zeros(1, kind)
        typical = dict(zip(self.model.features, self.model.usual[:, 1].tolist(), strict=True))
        row["features"] = [typical.get(name, 0.0) for name in FEATURES]
        if self.model.extras:
            extras_in(row)[:] = [typical.get(name, np.nan) for name in kind["extras"].names or ()]
        return row


def _seen(model: Model, sources: Sequence[Numbers]) -> Floats:
    """What a model sees: (n, len(model.features))."""
    return model.known(columns(model.features, sources))


def _beside(trial: Trial, basis: np.ndarray, sources: Sequence[Numbers]) -> Beside:
    """What a model on trial says of those transactions (n,) that it meets. Where it fails, it says nothing of them.

    A row's score depends on the row alone, and so does whether there is one: however a log is cut, the same rows have one.
    """
    rows = np.flatnonzero(chosen(basis["customer"], trial.by.share, trial.by.salt))
    some = sources if len(rows) == len(basis) else [Numbers(names, values[rows]) for names, values in sources]
    scores = np.full(len(rows), np.nan)

    def work(here: Rows) -> Floats:
        part = some if len(here) == len(rows) else [Numbers(names, values[here]) for names, values in some]
        return trial.model.anomaly_score(_seen(trial.model, part))

    for here, found in in_halves(work, np.arange(len(rows)), lambda: None, lambda _row, _error: None):
        scores[here] = found
    finite = np.isfinite(scores)
    rows, scores = rows[finite], scores[finite]
    thresholds = trial.thresholds.of_segments(basis["segment"][rows])
    return Beside(trial, rows, scores, thresholds, scores > thresholds)


def lookup(model: Model, table: Table | None) -> Lookup:
    """The thresholds of a table, or the model's own."""
    return (
        Lookup.from_thresholds(model.threshold, {})
        if table is None
        else Lookup.from_thresholds(table.default, table.thresholds)
    )
