"""What is true of a history's transactions, for judging alone, and what a bank had learned of them by a given time."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ml.arrays import Flags, Hashes, Ints
from ml.dataset.split import EvaluationError
from ml.features import DAY
from ml.features.events import hash_id
from ml.schema import Label

TRUTH_FILE: Final = "truth.parquet"
LABELS_FILE: Final = "labels.parquet"
NONE: Final = -1
_REQUIRED: Final = tuple(field for field in Label.__struct_fields__ if field not in ("source", "scenario", "campaign"))


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
    def read(cls, path: Path) -> Self:
        """Labels from a Parquet file. Raises `EvaluationError` where it is none, or lacks a column."""
        try:
            table = pq.read_table(path)
        except (pa.ArrowException, OSError) as error:
            raise EvaluationError(f"{path} should be a Parquet file of labels, but can't be read: {error}") from error
        lacking = [name for name in _REQUIRED if name not in table.column_names]
        if lacking:
            raise EvaluationError(f"{path} lacks the column {', '.join(lacking)}; a label has {', '.join(_REQUIRED)}")
        try:
            table = _typed(table).sort_by("label_time")
        except pa.ArrowException as error:
            raise EvaluationError(f"{path} has columns of other types than labels have: {error}") from error
        scenario, scenarios = _numbered(table, "scenario")
        return cls(
            table["transaction_id"].combine_chunks(),
            hashed(table["transaction_id"]),
            hashed(table["customer_id"]),
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
        """Which transactions are fraud according to what came `by` then; those without a label pass for honest."""
        rows = self.rows_of(transactions, by)
        frauds: Flags = np.append(self.is_fraud, False)[rows]  # NONE is the last
        return frauds

    def known_compromised(self, customers: Hashes, day: Ints) -> Flags:
        """Whether a fraud label of each transaction's customer had come when its day (since the epoch, UTC) began."""
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


@dataclass(frozen=True, eq=False)
class Knowledge:
    """The truth, which judges, and the labels, which teach; the same thing where a folder has one file of them."""

    truth: Labels
    labels: Labels

    @classmethod
    def read(cls, folder: Path) -> Self:
        """From a history's folder. Raises `EvaluationError` where neither file is there."""
        files = [folder / name for name in (TRUTH_FILE, LABELS_FILE) if (folder / name).is_file()]
        if not files:
            raise EvaluationError(
                f"{folder} should hold {TRUTH_FILE} (or {LABELS_FILE}) to judge by, but neither is there; "
                "`python -m generator history` writes them, `python -m generator convert` too"
            )
        read = [Labels.read(file) for file in files]
        return cls(read[0], read[-1])


_TYPES: Final[dict[str, pa.DataType]] = {
    "transaction_id": pa.string(),
    "customer_id": pa.string(),
    "is_fraud": pa.bool_(),
    "label_time": pa.timestamp("ms", tz="UTC"),
}


def _typed(table: pa.Table) -> pa.Table:
    """The labels that say something of a transaction, in the columns' own types. Raises `pyarrow.ArrowException`."""
    for name, kind in _TYPES.items():
        table = table.set_column(table.column_names.index(name), name, table[name].cast(kind))
    for name in _TYPES:
        table = table.filter(pc.is_valid(table[name]))
    return table


def hashed(ids: "pa.Array[pa.StringScalar] | pa.ChunkedArray[pa.StringScalar]") -> Hashes:
    """64-bit hashes (n,) of ids (n,)."""
    column = ids.combine_chunks() if isinstance(ids, pa.ChunkedArray) else ids
    encoded = column.dictionary_encode()
    hashes: Hashes = np.array([hash_id(text) for text in encoded.dictionary.to_pylist()], np.uint64)
    return np.take(hashes, encoded.indices.to_numpy())


def _numbered(table: pa.Table, name: str) -> tuple[Ints, tuple[str, ...]]:
    if name not in table.column_names:
        return np.full(table.num_rows, NONE), ()
    encoded = table[name].combine_chunks().cast(pa.string()).dictionary_encode()
    names: list[str] = encoded.dictionary.to_pylist()  # type: ignore[assignment]  # null is no entry of a dictionary
    indices = encoded.indices.to_pylist()
    rank = {index: number for number, index in enumerate(sorted(range(len(names)), key=names.__getitem__))}
    return np.array([NONE if index is None else rank[index] for index in indices], np.int64), tuple(sorted(names))
