"""Reads a history's folder into what a detector is fitted to and what it is judged on."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from rich.progress import Progress

from ml.arrays import Flags, Floats, Hashes, Ints, Names
from ml.dataset.history import History
from ml.dataset.split import EvaluationError, Split
from ml.dataset.truth import Knowledge, Labels, hashed
from ml.features import DAY, FEATURES, NO_POSITION
from ml.features.customers import CustomerTable
from ml.features.events import events_from_arrow
from ml.features.extras import filled, with_extras
from ml.segments import segment_names

MOST_FIT_ROWS: Final = 500_000


@dataclass(frozen=True, eq=False)
class Transactions:
    """The n transactions of one part, in the order of time (ms), without duplicates.

    transaction, customer: hashes of the ids. segment: its name, see `ml.segments`. amount: NaN where it is not in the history's
    commonest currency, because amounts in several can't be added up.
    """

    time: Ints
    transaction: Hashes
    customer: Hashes
    segment: Names
    amount: Floats
    features: Floats

    def __len__(self) -> int:
        return len(self.time)

    @property
    def day(self) -> Ints:
        """(n,) days since the epoch, UTC."""
        return self.time // DAY

    def select(self, rows: Ints | Flags) -> Self:
        """Some of them."""
        return type(self)(*(getattr(self, field.name)[rows] for field in fields(self)))


class Outline(NamedTuple):
    """What a first look at a history says: the times (n,) in ms, its currency, and the frauds that the truth names.

    currency: the commonest; None where transactions mostly name none. fraud, fraud_time: (m,) hashes and times (ms).
    """

    history: History
    knowledge: Knowledge
    times: Ints
    currency: str | None
    fraud: Hashes
    fraud_time: Ints
    label_delay_days: float


@dataclass(frozen=True, eq=False)
class Data:
    """A history, read for one evaluation."""

    outline: Outline
    split: Split
    fit: Transactions
    gap: Transactions
    test: Transactions

    @property
    def feature_names(self) -> tuple[str, ...]:
        """What the columns of features are called: those of the fold, and the history's extra columns."""
        return (*FEATURES, *self.outline.history.extras)

    @property
    def fit_labels(self) -> Flags:
        """Which transactions of the fit part were known as fraud when the test began."""
        return self.outline.knowledge.labels.fraud_of(self.fit.transaction, by=self.split.test_start)


def outline(folder: Path, progress: Progress, extras: bool = True) -> Outline:
    """A first look at the history in a folder, without features; extras: whether its extra columns shall be some.

    Raises `ml.dataset.history.HistoryError` or `EvaluationError` where something there can't be read, or is missing.
    """
    knowledge, history = Knowledge.read(folder), History.open(folder)
    history = history if extras else history.without_extras()
    if not history.rows:
        raise EvaluationError(f"{folder} should hold transactions, but it has none")
    times, frauds, labelled = [], [], []
    currencies: Counter[str | None] = Counter()
    for _, piece in _pieces(history, "reading times", progress):
        times.append(piece["event_time"].cast(pa.int64()).to_numpy())
        frauds.append(_among(piece, knowledge.truth))
        labelled.append(_among(piece, knowledge.labels))
        counted = piece["currency"].value_counts()
        currencies.update(dict(zip(counted.field(0).to_pylist(), counted.field(1).to_pylist(), strict=True)))
    fraud, fraud_time = _joined(frauds)
    is_fraud = knowledge.truth.fraud_of(fraud)
    return Outline(
        history,
        knowledge,
        np.concatenate(times),
        max(currencies, key=lambda name: currencies[name]),
        fraud[is_fraud],
        fraud_time[is_fraud],
        knowledge.labels.delay_days(*_joined(labelled)),
    )


def read(outline: Outline, split: Split, seed: int, progress: Progress) -> Data:
    """The parts of a history, each transaction with its features; of the fit part MOST_FIT_ROWS, drawn at random."""
    parts = _rows_of_parts(outline.times, split, seed)
    kept: dict[str, list[Transactions]] = {part: [] for part in parts}
    customers = CustomerTable()
    for begin, piece in _pieces(outline.history, "folding transactions", progress):
        events = events_from_arrow(piece)
        folded = customers.fold(piece["customer_id"], events)
        features = with_extras(folded.features, piece, outline.history.extras)
        in_currency = pc.is_in(piece["currency"], pa.array([outline.currency], pa.string()))
        amount = np.where(in_currency.to_numpy(), events["amount"], np.nan)
        segment = segment_names(piece)
        for part, rows in parts.items():
            here = rows[slice(*np.searchsorted(rows, (begin, begin + piece.num_rows)))] - begin
            here = here[folded.duplicate_of[here] == NO_POSITION]
            customer = hashed(piece["customer_id"].take(pa.array(here)))
            kept[part].append(
                Transactions(
                    events["time"][here],
                    events["transaction"][here],
                    customer,
                    segment[here],
                    amount[here],
                    features[here],
                )
            )
    whole = {part: _concatenated(pieces) for part, pieces in kept.items()}
    known = filled({part: rows.features for part, rows in whole.items()}, outline.history.extras)
    return Data(outline, split, **{part: replace(rows, features=known[part]) for part, rows in whole.items()})


def _rows_of_parts(times: Ints, split: Split, seed: int) -> dict[str, Ints]:
    """The rows of each part, in ascending order; times are sorted, because a history is."""
    bounds = np.searchsorted(times, (split.fit_start, split.gap_start, split.test_start, split.end))
    fit, gap, test = (np.arange(begin, end) for begin, end in pairwise(bounds))
    for part, rows in (("fit", fit), ("gap", gap), ("test", test)):
        if not len(rows):
            raise EvaluationError(f"the {part} part of the history should hold transactions, but it has none")
    if len(fit) > MOST_FIT_ROWS:
        fit = np.sort(np.random.default_rng(seed).choice(fit, MOST_FIT_ROWS, replace=False))
    return {"fit": fit, "gap": gap, "test": test}


def _pieces(history: History, what: str, progress: Progress) -> Iterator[tuple[int, pa.Table]]:
    """Each piece of a history with the number of its first row."""
    bar, begin = progress.add_task(what, total=history.rows), 0
    for piece in history.pieces():
        yield begin, piece
        begin += piece.num_rows
        progress.advance(bar, piece.num_rows)


def _among(piece: pa.Table, labels: Labels) -> tuple[Hashes, Ints]:
    """The transactions that have a label: hashes of their ids, and their times in ms."""
    labelled = piece.filter(pc.is_in(piece["transaction_id"], labels.ids))
    return hashed(labelled["transaction_id"]), labelled["event_time"].cast(pa.int64()).to_numpy()


def _joined(pieces: Sequence[tuple[Hashes, Ints]]) -> tuple[Hashes, Ints]:
    ids, times = zip(*pieces, strict=True)
    return np.concatenate(ids), np.concatenate(times)


def _concatenated(pieces: Sequence[Transactions]) -> Transactions:
    columns = (np.concatenate([getattr(piece, field.name) for piece in pieces]) for field in fields(Transactions))
    return Transactions(*columns)
