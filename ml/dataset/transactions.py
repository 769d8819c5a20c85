"""The transactions of a history with their features: the one place where a history is folded."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import NamedTuple, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml.arrays import Flags, Floats, Hashes, Ints, Names
from ml.dataset.history import History
from ml.dataset.profiling import ProfilePass
from ml.features import DAY, NO_POSITION
from ml.features.currencies import keep_roundness
from ml.features.customers import CustomerTable
from ml.features.declared import NOTHING, Declared
from ml.features.events import events_from_arrow, hashes
from ml.features.extras import filled, with_extras
from ml.progress import Progress, silent
from ml.segments import segment_names


@dataclass(frozen=True, eq=False)
class Transactions:
    """The n transactions of one part, in the order of time (ms), without duplicates.

    transaction, customer: hashes of the ids. segment: its name, see `ml.segments`. amount: NaN where it is not in the
    currency that was asked for, because amounts in several can't be added up. features: (n, F): those of the fold, those of
    profiles where they were asked for, and the extras.
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


class FoldedHistory(NamedTuple):
    """The parts of a history by name, the time of its last transaction (ms), and by extra how many values of the whole
    history lay outside its declared range."""

    parts: dict[str, Transactions]
    end: int
    outside: dict[str, int]

    def filled(self, names: Sequence[str], values: Mapping[str, float]) -> dict[str, Transactions]:
        """The parts, with values by name for what is unknown of the features of these names."""
        return {name: replace(part, features=filled(part.features, names, values)) for name, part in self.parts.items()}


def fold_history(
    history: History,
    rows: Mapping[str, Ints],
    customers: CustomerTable,
    *,
    profiles: ProfilePass | None = None,
    currency: str | None = None,
    declared: Declared = NOTHING,
    progress: Progress = silent,
) -> FoldedHistory:
    """Fold the whole history into `customers`, and keep the rows of each part; see `ml.dataset.split.chosen_rows`.

    profiles: takes the whole history in too, and gives the profile features; None: there are none. What is unknown of an
    extra, or outside the range that is declared for it, is NaN. Raises `HistoryError`.
    """
    kept: dict[str, list[Transactions]] = {part: [] for part in rows}
    end, outside = 0, Counter[str]()
    for begin, piece in pieces(history, "folding transactions", progress):
        events, paid = events_from_arrow(piece, history.rates), piece["amount"].to_numpy()
        folded = customers.fold(piece["customer_id"], events)
        keep_roundness(folded.features, events["amount"], paid)
        known = folded.features
        if profiles is not None:
            counted = np.flatnonzero(folded.duplicate_of == NO_POSITION)
            known = np.column_stack([known, profiles.features(events, known, counted)])
        features, wrong = with_extras(known, piece, history.extras, declared)
        outside.update(wrong)
        in_currency = pc.is_in(piece["currency"], pa.array([currency], pa.string()))
        amount = np.where(in_currency.to_numpy(), paid, np.nan)
        segment = segment_names(piece)
        for part, of_part in rows.items():
            here = of_part[slice(*np.searchsorted(of_part, (begin, begin + piece.num_rows)))] - begin
            here = here[folded.duplicate_of[here] == NO_POSITION]
            customer = hashes(piece["customer_id"].take(pa.array(here)))
            time, transaction = events["time"][here], events["transaction"][here]
            kept[part].append(Transactions(time, transaction, customer, segment[here], amount[here], features[here]))
        end = int(events["time"][-1])
    return FoldedHistory({part: _concatenated(of_part) for part, of_part in kept.items()}, end, dict(outside))


def pieces(history: History, stage: str, progress: Progress) -> Iterator[tuple[int, pa.Table]]:
    """Each piece of a history with the number of its first row."""
    begin = 0
    progress(stage, begin, history.rows)
    for piece in history.pieces():
        yield begin, piece
        begin += piece.num_rows
        progress(stage, begin, history.rows)


def _concatenated(kept: Sequence[Transactions]) -> Transactions:
    columns = (np.concatenate([getattr(piece, field.name) for piece in kept]) for field in fields(Transactions))
    return Transactions(*columns)
