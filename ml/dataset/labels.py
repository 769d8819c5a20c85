"""Labels: what became known of transactions, and when."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ml.arrays import Flags, Hashes, Ints
from ml.dataset.history import HistoryError
from ml.features import DAY
from ml.features.events import hashes

LABELS_FILE: Final = "labels.parquet"
NONE: Final = -1

_CUSTOMER: Final = "customer_id"
_TYPES: Final[dict[str, pa.DataType]] = {
    "transaction_id": pa.string(),
    _CUSTOMER: pa.string(),
    "is_fraud": pa.bool_(),
    "label_time": pa.timestamp("ms", tz="UTC"),
}


@dataclass(frozen=True, eq=False)
class Labels:
    """Labels (m,) in order of label_time (ms); transactions and customers are hashes of their ids.

    ids: (m,) transaction_id. scenario: number into `scenarios`; campaign: a number too; NONE where a label has none.
    """

    ids: "pa.Array[pa.StringScalar]"
    transaction: Hashes
    customer: Hashes
    is_fraud: Flags
    time: Ints
    scenario: Ints
    campaign: Ints
    scenarios: tuple[str, ...]

    @classmethod
    def read(cls, path: Path, *, with_customers: bool = True) -> Self:
        """Labels from a Parquet file. Raises `HistoryError` where it is none, or lacks a column.

        with_customers: whether customer_id is required; without it all labels are of one unknown customer.
        """
        try:
            table = pq.read_table(path)
        except (pa.ArrowException, OSError) as error:
            raise HistoryError(f"{path} should be a Parquet file of labels, but can't be read: {error}") from error
        if not with_customers and _CUSTOMER not in table.column_names:
            table = table.append_column(_CUSTOMER, pa.array([""] * table.num_rows, pa.string()))
        lacking = [name for name in _TYPES if name not in table.column_names]
        if lacking:
            raise HistoryError(f"{path} lacks the column {', '.join(lacking)}; a label has {', '.join(_TYPES)}")
        try:
            table = _typed(table).sort_by("label_time")
        except pa.ArrowException as error:
            raise HistoryError(f"{path} has columns of other types than labels have: {error}") from error
        scenario, scenarios = _numbered(table, "scenario")
        return cls(
            table["transaction_id"].combine_chunks(),
            hashes(table["transaction_id"]),
            hashes(table[_CUSTOMER]),
            table["is_fraud"].to_numpy().astype(np.bool_),
            table["label_time"].cast(pa.int64()).to_numpy(),
            scenario,
            _numbered(table, "campaign")[0],
            scenarios,
        )

    def rows_of(self, transactions: Hashes, by: int | None = None) -> Ints:
        """The row of each transaction's latest label that came `by` then (ms), NONE where there was none: (n,) of (n,)."""
        m = len(self.time) if by is None else int(np.searchsorted(self.time, by, "right"))
        if not m:
            return np.full(len(transactions), NONE)
        order = np.argsort(self.transaction[:m], kind="stable")  # and so the latest of a transaction's labels is last
        places = np.searchsorted(self.transaction[:m], transactions, "right", order) - 1
        rows = order[places]
        return np.where((places >= 0) & (self.transaction[rows] == transactions), rows, NONE)

    def fraud_of(self, transactions: Hashes, by: int | None = None) -> Flags:
        """Which transactions are fraud according to what came `by` then; those without a label count as honest."""
        rows = self.rows_of(transactions, by)
        frauds: Flags = np.append(self.is_fraud, False)[rows]  # NONE is the last
        return frauds

    def known_compromised(self, customers: Hashes, day: Ints) -> Flags:
        """Whether a fraud label of each transaction's customer had arrived when its day (since the epoch, UTC) began."""
        frauds, first = np.unique(self.customer[self.is_fraud], return_index=True)
        if not len(frauds):
            return np.zeros(len(customers), np.bool_)
        place = np.minimum(np.searchsorted(frauds, customers), len(frauds) - 1)
        since = self.time[self.is_fraud][first][place]
        known: Flags = (frauds[place] == customers) & (since < day * DAY)
        return known

    def delay_days(self, transactions: Hashes, times: Ints) -> float:
        """The median delay of the labels of these transactions (n,), at times (n,) ms; 0 where there is none.

        From a day on it is in whole days.
        """
        rows = self.rows_of(transactions)
        labelled = rows != NONE
        days = float(np.median(self.time[rows[labelled]] - times[labelled]) / DAY) if labelled.any() else 0.0
        return days if days < 1 else float(round(days))


def _typed(table: pa.Table) -> pa.Table:
    """The labels that say something of a transaction, in the columns' own types. Raises `pyarrow.ArrowException`."""
    for name, kind in _TYPES.items():
        table = table.set_column(table.column_names.index(name), name, table[name].cast(kind))
    for name in _TYPES:
        table = table.filter(pc.is_valid(table[name]))
    return table


def _numbered(table: pa.Table, name: str) -> tuple[Ints, tuple[str, ...]]:
    if name not in table.column_names:
        return np.full(table.num_rows, NONE), ()
    encoded = table[name].combine_chunks().cast(pa.string()).dictionary_encode()
    names: list[str] = encoded.dictionary.to_pylist()  # type: ignore[assignment]  # null is no entry of a dictionary
    indices = encoded.indices.to_pylist()
    rank = {index: number for number, index in enumerate(sorted(range(len(names)), key=names.__getitem__))}
    return np.array([NONE if index is None else rank[index] for index in indices], np.int64), tuple(sorted(names))
