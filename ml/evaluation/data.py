"""Reads a history's folder into what a detector is fitted to and what it is judged on."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml.arrays import Flags, Hashes, Ints
from ml.dataset.history import History, HistoryError
from ml.dataset.label_counts import label_counts, report
from ml.dataset.labels import Labels
from ml.dataset.profiling import ProfilePass
from ml.dataset.split import Split, chosen_rows
from ml.dataset.transactions import Transactions, fold_history, pieces
from ml.dataset.truth import Knowledge
from ml.features import FEATURES
from ml.features.currencies import AS_PAID, Rates
from ml.features.customers import CustomerTable
from ml.features.declared import NOTHING, Declared
from ml.features.events import hashes
from ml.features.extras import for_unknown
from ml.features.profile_schema import PROFILE_FEATURES
from ml.progress import Progress, silent


class Outline(NamedTuple):
    """What a first look at a history says: the times (n,) in ms, its currency, and the frauds that the truth names.

    currency: the commonest; None where transactions mostly name none. fraud, fraud_time: (m,) hashes and times (ms);
    labelled, labelled_time: (k,) those of the transactions that have a label.
    """

    history: History
    knowledge: Knowledge
    times: Ints
    currency: str | None
    fraud: Hashes
    fraud_time: Ints
    labelled: Hashes
    labelled_time: Ints
    label_delay_days: float


@dataclass(frozen=True, eq=False)
class Data:
    """A history, read for one evaluation; amounts are in its commonest currency."""

    outline: Outline
    split: Split
    fit: Transactions
    gap: Transactions
    test: Transactions
    profiles: bool = False

    @property
    def feature_names(self) -> tuple[str, ...]:
        """What the columns of features are called: of the fold, of profiles where they were asked for, of the extras."""
        return _names(self.outline, self.profiles)

    @property
    def fit_labels(self) -> Flags:
        """Which transactions of the fit part were known as fraud when the test began."""
        return self.outline.knowledge.labels.fraud_of(self.fit.transaction, by=self.split.test_start)

    @property
    def gap_labels(self) -> Flags:
        """Which transactions of the gap part were known as fraud when the test began."""
        return self.outline.knowledge.labels.fraud_of(self.gap.transaction, by=self.split.test_start)


def outline(folder: Path, extras: bool = True, progress: Progress = silent, rates: Rates = AS_PAID) -> Outline:
    """A first look at the history in a folder, without features; extras: whether its extras count too.

    Raises `HistoryError` where something there can't be read, or is missing.
    """
    knowledge, history = Knowledge.read(folder), History.open(folder, rates)
    history = history if extras else history.without_extras()
    if not history.rows:
        raise HistoryError(f"{folder} should hold transactions, but it has none")
    times, frauds, labels = [], [], []
    currencies: Counter[str | None] = Counter()
    for _, piece in pieces(history, "reading times", progress):
        times.append(piece["event_time"].cast(pa.int64()).to_numpy())
        frauds.append(_among(piece, knowledge.truth))
        labels.append(_among(piece, knowledge.labels))
        counted = piece["currency"].value_counts()
        currencies.update(dict(zip(counted.field(0).to_pylist(), counted.field(1).to_pylist(), strict=True)))
    fraud, fraud_time = _joined(frauds)
    labelled, labelled_time = _joined(labels)
    report(label_counts(knowledge.labels, labelled, labelled_time), str(folder))
    is_fraud = knowledge.truth.fraud_of(fraud)
    return Outline(
        history,
        knowledge,
        np.concatenate(times),
        max(currencies, key=lambda name: currencies[name]),
        fraud[is_fraud],
        fraud_time[is_fraud],
        labelled,
        labelled_time,
        knowledge.labels.delay_days(labelled, labelled_time),
    )


class Extras(NamedTuple):
    """How extras are read: in the ranges that are declared, and with values by name for the unknown ones; without, they
    become what training would make of them."""

    declared: Declared = NOTHING
    values: Mapping[str, float] | None = None


AS_THEY_ARE: Final = Extras()


def read(
    outline: Outline,
    split: Split,
    seed: int,
    progress: Progress = silent,
    profiles: ProfilePass | None = None,
    extras: Extras = AS_THEY_ARE,
) -> Data:
    """The parts of a history, each transaction with its features; of a long fit part some rows, drawn at random.

    profiles: gives the profile features; None: there are none.
    """
    rows, history = chosen_rows(split.cuts(outline.times), seed), outline.history
    folded = fold_history(
        history,
        rows,
        CustomerTable(),
        profiles=profiles,
        currency=outline.currency,
        declared=extras.declared,
        progress=progress,
    )
    values = extras.values
    if values is None:
        values = for_unknown(folded.parts["fit"].features, history.extras, extras.declared)
    parts = folded.filled(_names(outline, profiles is not None), values)
    return Data(outline, split, **parts, profiles=profiles is not None)


def _names(outline: Outline, profiles: bool) -> tuple[str, ...]:
    return (*FEATURES, *(PROFILE_FEATURES if profiles else ()), *outline.history.extras)


def _among(piece: pa.Table, labels: Labels) -> tuple[Hashes, Ints]:
    """The transactions that have a label: hashes of their ids, and their times in ms."""
    labelled = piece.filter(pc.is_in(piece["transaction_id"], labels.ids))
    return hashes(labelled["transaction_id"]), labelled["event_time"].cast(pa.int64()).to_numpy()


def _joined(found: Sequence[tuple[Hashes, Ints]]) -> tuple[Hashes, Ints]:
    ids, times = zip(*found, strict=True)
    return np.concatenate(ids), np.concatenate(times)
